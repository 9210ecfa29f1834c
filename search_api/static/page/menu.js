// A button that opens a panel below it: closed by Escape, by leaving it, and by a click elsewhere.

import { h } from "./dom.js";

/** Make `button` open `panel`; `fill` draws the panel's content each time it opens. */
export function menu(button, panel, fill) {
  const shut = (refocus) => {
    if (panel.hidden) return;
    panel.hidden = true;
    button.setAttribute("aria-expanded", "false");
    if (refocus) button.focus();
  };
  const open = () => {
    panel.hidden = false;
    button.setAttribute("aria-expanded", "true");
    fill(panel, () => shut(true));
    (panel.querySelector("[autofocus], a, button, input") ?? panel).focus();
  };
  button.setAttribute("aria-haspopup", "true");
  button.setAttribute("aria-expanded", "false");
  button.addEventListener("click", () => (panel.hidden ? open() : shut(true)));
  const holder = button.parentElement;
  holder.addEventListener("keydown", (event) => onKey(event, panel, shut));
  holder.addEventListener("focusout", (event) => { if (event.relatedTarget && !holder.contains(event.relatedTarget)) shut(false); });
  addEventListener("pointerdown", (event) => { if (!holder.contains(event.target)) shut(false); });
  return { shut };
}

function onKey(event, panel, shut) {
  if (panel.hidden) return;
  if (event.key === "Escape") {
    event.stopPropagation();
    shut(true);
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const items = [...panel.querySelectorAll("a, button, input, summary")].filter((item) => item.checkVisibility());
    const step = event.key === "ArrowDown" ? 1 : -1;
    const at = items.indexOf(document.activeElement);
    event.preventDefault();
    items[(at + step + items.length) % items.length]?.focus();
  }
}

/** A line of a menu: what it is, and a word about it. */
export const line = (content, note) => [h("span", { className: "name" }, content), note === undefined ? null : h("span", { className: "count" }, note)];
