// A short remark at the bottom of the window, with something to do about it or without.

import { $, h } from "./dom.js";

const BRIEF_MS = 4000;
// Long enough to look over what an edit of many pictures did before taking it back.
const WITH_ACTION_MS = 30000;
let hiding;

export function toast(text, action) {
  const place = $("toast");
  place.replaceChildren(h("span", {}, text));
  if (action) place.append(h("button", { type: "button", onclick: () => { hide(); action.run(); } }, action.label));
  lift(place);
  clearTimeout(hiding);
  hiding = setTimeout(waitForPointer, action ? WITH_ACTION_MS : BRIEF_MS);
}

/** A remark must lie above an open dialog, which makes all outside it inert: it moves into the dialog. */
function lift(place) {
  const host = document.querySelector("dialog[open]") ?? document.body;
  if (place.parentElement !== host) host.append(place);
  place.hidden = false;
}

/** When the dialog it lies in closes, it stays in sight. */
document.addEventListener("close", ({ target }) => {
  const place = $("toast");
  if (!place.hidden && target.contains(place)) lift(place);
}, true);

/** Someone reading or about to press keeps it there. */
function waitForPointer() {
  const place = $("toast");
  if (place.matches(":hover, :focus-within")) hiding = setTimeout(waitForPointer, BRIEF_MS);
  else hide();
}

function hide() {
  const place = $("toast");
  place.hidden = true;
  if (place.parentElement !== document.body) document.body.append(place);
}
