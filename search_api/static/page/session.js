// Who is signed in: a menu to sign out, and nothing offered that the key does not open.

import * as api from "./api.js";
import { $, h } from "./dom.js";
import { icon } from "./icons.js";
import { line, menu } from "./menu.js";

const MAY = {
  search: "search",
  "images.read": "see pictures",
  "images.write": "add and delete pictures",
  "tags.write": "write tags, captions, collections and searches",
};

let found;
/** The scopes of the key in use; null where the server did not tell. */
const scopes = new Promise((resolve) => { found = resolve; });

export async function initSession() {
  const session = await api.session().catch(() => null);
  found(session?.scopes ?? null);
  if (!session) return;
  // What needs another scope is hidden by its `data-needs`.
  document.documentElement.dataset.scopes = session.scopes.join(" ");
  if (session.signed_in_by !== "session") return;
  $("account").hidden = false;
  menu($("account"), $("account-menu"), (panel) => panel.replaceChildren(
    h("p", { className: "hint" }, "Signed in with the key ", h("b", {}, session.name), ". It may ", told(session.scopes), "."),
    h("ul", {}, h("li", {}, h("button", { type: "button", onclick: leave }, icon("out"), ...line("Sign out"))))));
}

/** Whether the key in use opens this, once that is known; true where the server does not tell. */
export async function may(scope) {
  const held = await scopes;
  return held === null || held.includes(scope) || held.includes("admin");
}

function told(held) {
  if (held.includes("admin")) return "do everything";
  const words = Object.keys(MAY).filter((scope) => held.includes(scope)).map((scope) => MAY[scope]);
  return words.length > 1 ? `${words.slice(0, -1).join(", ")} and ${words.at(-1)}` : words[0];
}

async function leave() {
  await api.signOut().catch(() => {});
  location.replace("/login");
}
