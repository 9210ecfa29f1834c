// Keyboard shortcuts and the help that lists them, beside the language of the box.

import { EXAMPLES, keys } from "../query/keys.js";
import { $, h, writing } from "./dom.js";
import * as state from "./state.js";

const SHORTCUTS = [
  ["Everywhere", [
    [["/"], "go to the search box"],
    [["f"], "narrow by facets"],
    [["Ctrl V"], "search by a copied picture"],
    [["Esc"], "close, leave the box, or let go of the selection"],
    [["?"], "this help"],
  ]],
  ["Among the pictures", [
    [["←", "→", "↑", "↓"], "walk; from the box, ↓ enters"],
    [["Enter"], "open the picture"],
    [["x"], "select it; Shift-click or Shift-arrow for a range"],
    [["Ctrl A"], "select all shown"],
    [["m"], "more like this"],
    [["n"], "not like this"],
  ]],
  ["In a picture", [
    [["←", "→"], "the one before, the one after"],
    [["t"], "add a tag"],
    [["m", "n"], "more, or less, like this"],
  ]],
];

export function initKeys() {
  const dialog = $("help");
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  $("close-help").addEventListener("click", () => dialog.close());
  $("keys").addEventListener("click", open);
  addEventListener("keydown", onKey);
}

function open() {
  const place = $("help-body");
  if (!place.firstChild) {
    place.append(shortcuts(), language());
    keys().then((all) => $("help-conditions").replaceChildren(...all.flatMap(condition)));
  }
  $("help").showModal();
}

function onKey(event) {
  if ((writing(event.target) && !begins(event)) || event.ctrlKey || event.metaKey || event.altKey) return;
  const inDialog = document.querySelector("dialog[open]");
  const run = { "?": () => { if (!$("help").open) open(); }, "/": inDialog ? null : toBox, f: inDialog ? null : toFacets }[event.key];
  if (!run) return;
  event.preventDefault();
  run();
}

/** The box has the focus from the start: no query begins with one of these, so they mean there what they mean elsewhere. */
const begins = ({ target, key }) => target === $("text") && !target.value && (key === "/" || key === "?");

function toBox() {
  $("text").focus();
  $("text").select();
}

function toFacets() {
  if ($("rail").hidden) $("filters").click();
  $("facets").querySelector("button")?.focus();
}

const condition = ({ help, examples }) => [h("dt", {}, h("code", {}, examples[0])), h("dd", {}, help)];

const shortcuts = () => h("div", { className: "shortcuts" }, ...SHORTCUTS.map(([title, rows]) => h("section", {}, h("h3", {}, title),
  h("dl", {}, ...rows.flatMap(([pressed, what]) => [h("dt", {}, ...pressed.map((key) => h("kbd", {}, key))), h("dd", {}, what)])))));

function language() {
  const use = (query) => { $("help").close(); state.ask(query); };
  return h("div", { className: "language" },
    h("h3", {}, "What the box understands"),
    h("ul", { className: "tries" }, ...EXAMPLES.map(([query, what]) => h("li", {}, h("button", { type: "button", className: "try", onclick: () => use(query) }, h("code", {}, query)), h("span", {}, what)))),
    h("h3", {}, "Conditions"),
    h("dl", { className: "conditions", id: "help-conditions" }),
    h("p", {}, "Put - before a condition to exclude it, or between alternatives, parentheses around groups. The API is described at ", h("a", { href: "/docs" }, "/docs"), "."));
}
