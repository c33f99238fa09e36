// Times, sizes and addresses in the form that people read.

import { locale, number, t } from "./language.js";

/** `0:07`, `12:34`, `1:02:03`: the length of a call. */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (value) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** `4 s`, `12 min`, `3 h 5 min`, `2 d`; `–` for null. */
export function span(seconds) {
  if (seconds == null) return "–";
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  if (hours < 48) return minutes > 0 ? `${hours} h ${minutes} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} d`;
}

/** `12.3 MiB` */
export function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  let rest = value;
  while (rest >= 1024 && unit + 1 < units.length) {
    rest /= 1024;
    unit += 1;
  }
  return `${number(rest, rest < 10 ? 1 : 0)} ${units[unit]}`;
}

/** Time of day, as `moment`. */
export const clockTime = (time) => new Intl.DateTimeFormat(locale(), { timeStyle: "medium" }).format(new Date(time));

/** Date and time of day, in the chosen language and the browser's time zone. */
export const moment = (time) =>
  new Intl.DateTimeFormat(locale(), { dateStyle: "short", timeStyle: "medium" }).format(new Date(time));

/** Whether a URI is the one that stands for a hidden party (RFC 3323). */
const isPrivate = (uri) => /^sips?:anonymous@anonymous\.invalid\b/i.test(uri ?? "");

/** Why the other party of a call is hidden, for `title`; null if it is not. */
export const privateHint = (uri) => (isPrivate(uri) ? t("party.private-hint") : null);

/** The other party of a call, shortened: `sip:12@abc.com` is `12` in the domain abc.com. */
export function party(uri, domain) {
  if (!uri) return "";
  if (isPrivate(uri)) return t("party.private");
  const bare = uri.replace(/^(sips?|tel):/, "").replace(/[;?].*$/, "");
  return bare.endsWith(`@${domain}`) ? bare.slice(0, -domain.length - 1) : bare;
}

export const userOf = (aor) => aor.slice(0, aor.lastIndexOf("@"));
export const domainOf = (aor) => aor.slice(aor.lastIndexOf("@") + 1);
