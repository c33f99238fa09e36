// The login form. The server puts the token into a cookie that scripts cannot read; the page does not keep it.

import { wordsOf } from "./api.js";
import { el, labelled, set, setText } from "./dom.js";
import { t } from "./language.js";
import * as session from "./session.js";

/** @param {() => void} done runs after the login */
export function login(done) {
  const token = el("input", { type: "password", name: "token", autocomplete: "current-password", required: true, spellcheck: "false" });
  const problem = el("p.problem", { role: "alert" });
  const button = el("button.primary", { type: "submit" }, t("login.button"));
  const submit = async (event) => {
    event.preventDefault();
    setText(problem, "");
    set(button, "disabled", true);
    try {
      await session.begin(token.value.trim());
      done();
    } catch (error) {
      setText(problem, error.status === 401 ? t("login.wrong") : wordsOf(error));
      token.select();
    } finally {
      set(button, "disabled", false);
    }
  };
  return el(
    "form.login.card",
    { onsubmit: submit },
    el("h1", {}, t("login.title")),
    labelled(t("login.token"), token),
    problem,
    button,
    el("p.muted", {}, t("login.hint")),
    el("code.block", {}, "lamplighter token add NAME --role reader"),
  );
}
