// How many pictures are still on their way, shown while there are any.

import * as api from "../page/api.js";
import { $, h } from "../page/dom.js";
import { count } from "../page/format.js";
import { tell } from "./uploads.js";

const BUSY_MS = 1500;
const IDLE_MS = 15000;
let indexed = null;
let fetching = null;
let timer;
const told = new Map(); // how many failures of a job have been told

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

/** What could not be fetched, whoever asked for it, and why: in the list of uploads, each once. What failed before the
 *  page was opened is only noted. */
async function tellFailures(aloud) {
  for (const { id, kind, failed } of await api.jobs(5)) {
    const before = told.get(id) ?? 0;
    told.set(id, failed);
    if (aloud && ["urls", "import"].includes(kind) && failed > before) tell((await api.job(id)).failures.slice(before));
  }
}

/** Show the counts; how long to wait before asking again, in ms. */
function draw({ images, waiting: left, queued_tasks: queued }) {
  const waiting = images.pending + images.annotated + left.fetch;
  const place = $("queue");
  place.hidden = !waiting;
  if (waiting) {
    place.replaceChildren(h("i", { className: "pulse", "aria-hidden": "true" }), h("span", {}, `${count(waiting, "picture")} to go`));
    place.title = queued === null ? "Redis does not answer: the queue is unknown" : `${images.indexed} indexed, ${images.failed} refused, ${left.fetch} to be fetched, ${count(queued, "task")} waiting`;
  }
  // A key that only searches hears of no jobs.
  if (!waiting || left.fetch < fetching) tellFailures(fetching !== null).catch(() => {});
  fetching = left.fetch;
  const grown = indexed !== null && images.indexed !== indexed;
  indexed = images.indexed;
  if (grown) dispatchEvent(new CustomEvent("library-changed"));
  return waiting ? BUSY_MS : IDLE_MS;
}
