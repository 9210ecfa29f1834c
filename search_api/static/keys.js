// Keyboard shortcuts and the list of them.

import { $, h, icon } from "./dom.js";

const SHORTCUTS = [
  ["/", "go to the search box"],
  ["↓ ↑", "choose a suggested tag; begin with - to exclude it"],
  ["Enter", "search, or open the picture"],
  ["Backspace", "in an empty box: take away the last condition"],
  ["← → ↑ ↓", "walk through the pictures"],
  ["← →", "in a picture: the one before, the one after"],
  ["m", "in a picture: more like this"],
  ["Esc", "close"],
  ["Ctrl V", "search by a copied picture"],
  ["?", "this list"],
];

export function initKeys() {
  const dialog = $("help");
  dialog.append(
    h("header", {}, h("h2", { id: "help-title" }, "Keyboard"),
      h("button", { type: "button", className: "quiet", "aria-label": "Close", onclick: () => dialog.close() }, icon("close"))),
    h("dl", {}, ...SHORTCUTS.flatMap(([key, what]) => [h("dt", {}, ...key.split(" ").map((part) => h("kbd", {}, part))), h("dd", {}, what)])),
    h("p", {}, "Drop a picture to search by it, or drop pictures and folders to add them. The API is described at ", h("a", { href: "/docs" }, "/docs"), "."));
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  $("keys").addEventListener("click", () => dialog.showModal());
  addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input:not([type=range]), textarea");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/" && !document.querySelector("dialog[open]")) {
      event.preventDefault();
      $("text").focus();
      $("text").select();
    } else if (event.key === "?") {
      event.preventDefault();
      if (!dialog.open) dialog.showModal();
    }
  });
}
