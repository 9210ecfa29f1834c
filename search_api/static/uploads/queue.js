// How many pictures are still on their way, shown while there are any.

import * as api from "../page/api.js";
import { $, h } from "../page/dom.js";
import { count } from "../page/format.js";

const BUSY_MS = 1500;
const IDLE_MS = 15000;
let indexed = null;
let timer;

export function initQueue() {
  addEventListener("uploads-sent", look);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  look();
}

async function look() {
  clearTimeout(timer);
  let wait = IDLE_MS;
  try {
    wait = draw(await api.stats());
  } catch {
    $("queue").hidden = true; // the grid reports what is wrong
  }
  if (!document.hidden) timer = setTimeout(look, wait);
}

/** Show the counts; how long to wait before asking again, in ms. */
function draw({ images, queued_tasks: queued }) {
  const waiting = images.pending + images.annotated;
  const place = $("queue");
  place.hidden = !waiting;
  if (waiting) {
    place.replaceChildren(h("i", { className: "pulse", "aria-hidden": "true" }), h("span", {}, `${count(waiting, "picture")} to go`));
    place.title = queued === null ? "Redis does not answer: the queue is unknown" : `${images.indexed} indexed, ${images.failed} refused, ${count(queued, "task")} waiting`;
  }
  const grown = indexed !== null && images.indexed !== indexed;
  indexed = images.indexed;
  if (grown) dispatchEvent(new CustomEvent("library-changed"));
  return waiting ? BUSY_MS : IDLE_MS;
}
