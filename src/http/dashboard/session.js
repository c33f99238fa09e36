// Who uses the dashboard: what the role of the token allows, and for which domains it is.

import { get, post, remove } from "./api.js";

/** The roles, each of which may do what those before it may. */
const ROLES = ["reader", "feeder", "domain-admin", "admin"];

/** @typedef {{name: string, role: string, domains: string[], all_domains: boolean}} Session */

/** @type {Session | null} */
let current = null;

export const session = () => current;

/** Whether the session may do what a role may. A button that it may not use is not shown. */
export const may = (role) => ROLES.indexOf(current?.role ?? "") >= ROLES.indexOf(role);

/** Takes up the session of the cookie. Throws if there is none. */
export const resume = async () => (current = await get("session"));

export const begin = async (token) => (current = await post("session", { token }));

export async function end() {
  await remove("session");
  current = null;
}
