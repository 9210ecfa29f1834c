// Where one was in the results, kept with each step of the history: going back, and reloading, returns there.

import { place, remember } from "../page/history.js";
import { goTo, topmost } from "./grid.js";
import { on, results } from "./results.js";

const SETTLED_MS = 150;
let settling;

export function initPlace() {
  history.scrollRestoration = "manual";
  addEventListener("scroll", () => { clearTimeout(settling); settling = setTimeout(save, SETTLED_MS); }, { passive: true });
  addEventListener("leaving", save);
  addEventListener("pagehide", save);
  addEventListener("popstate", () => { if (!results.busy) restore(); });
  on("answered", ({ detail }) => { if (!detail.quiet) restore(); });
}

function save() {
  clearTimeout(settling);
  const here = results.busy ? null : topmost();
  if (here) remember({ place: { ...here, y: scrollY } });
}

/** At the very top, where the summary is, one returns to the very top. */
function restore() {
  const remembered = place();
  if (!remembered || remembered.y < 1) scrollTo({ top: 0, behavior: "instant" });
  else goTo(remembered);
}
