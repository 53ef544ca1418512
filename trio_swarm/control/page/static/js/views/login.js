// Asks for the token; the node answers with a cookie that scripts cannot read.

import { logIn } from "../api.js";
import { h } from "../dom.js";
import { field } from "../parts.js";

export function loginView(app, entered) {
  const token = h("input", { type: "password", name: "token", autocomplete: "current-password", required: true, spellcheck: "false" });
  const fault = h("p", { class: "fault", role: "alert", hidden: true });
  const submit = h("button", { type: "submit", class: "first" }, "Log in");
  const form = h(
    "form",
    {
      on: {
        async submit(event) {
          event.preventDefault();
          submit.disabled = true;
          fault.hidden = true;
          try {
            await logIn(token.value.trim());
            token.value = "";
            await entered();
          } catch (error) {
            fault.textContent = error.status === 401 ? "That is not the token or password of this node" : error.message;
            fault.hidden = false;
            token.select();
          } finally {
            submit.disabled = false;
          }
        },
      },
    },
    h("h1", {}, "Who is there?"),
    field("Token, or user:password", token, "It is in the file that token_file, read_token_file or password_file of the node’s configuration names."),
    fault, submit,
  );
  return { title: "Log in", element: h("section", { class: "panel login" }, form), focus: () => token.focus() };
}
