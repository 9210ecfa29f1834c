// Light, dark, or as the system has it; the choice is kept in this browser.

import { $ } from "./dom.js";
import { icon } from "./icons.js";

const KEY = "sightline-theme";
const SYSTEM_DARK = matchMedia("(prefers-color-scheme: dark)");

export function initTheme() {
  apply(read());
  $("theme").addEventListener("click", () => choose(isDark() ? "light" : "dark"));
  SYSTEM_DARK.addEventListener("change", () => apply(read()));
}

function read() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // storage is refused: the system's choice holds
  }
}

function choose(theme) {
  const asSystem = (theme === "dark") === SYSTEM_DARK.matches;
  try {
    if (asSystem) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme);
  } catch {
    // it holds until the page is left
  }
  apply(asSystem ? null : theme);
}

const isDark = () => (document.documentElement.dataset.theme ?? (SYSTEM_DARK.matches ? "dark" : "light")) === "dark";

function apply(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  const other = isDark() ? "light" : "dark";
  $("theme").replaceChildren(icon(other));
  $("theme").setAttribute("aria-label", `Use ${other} colours`);
  $("theme").title = `Use ${other} colours`;
}
