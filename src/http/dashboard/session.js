// The session: the name of the token, what its role allows, and its domains.

import { get, post, remove } from "./api.js";

/** The roles. Each may do all that the roles before it may do. */
const ROLES = ["reader", "feeder", "domain-admin", "admin"];

/** @typedef {{name: string, role: string, domains: string[]}} Session */

/** @type {Session | null} */
let current = null;

export const session = () => current;

/** Whether the session has the rights of a role. Pages leave out buttons that the session may not use. */
export const may = (role) => ROLES.indexOf(current?.role ?? "") >= ROLES.indexOf(role);

/** Resumes the session of the cookie. Throws if there is none. */
export const resume = async () => (current = await get("session"));

export const begin = async (token) => (current = await post("session", { token }));

export async function end() {
  await remove("session");
  current = null;
}
