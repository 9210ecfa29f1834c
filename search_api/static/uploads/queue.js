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
let opened = null; // when this page was opened, by the clock that dates jobs, in ms
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

/** What could not be fetched, whoever asked for it, and why: in the list of uploads, each once. What older jobs had
 *  failed by the time the page first heard of them is only noted. */
async function tellFailures() {
  const { as_of: now, jobs } = await api.jobs(5);
  opened ??= Date.parse(now) - performance.now();
  for (const { id, kind, failed, created_at: asked } of jobs) {
    const before = told.get(id) ?? (Date.parse(asked) < opened ? failed : 0);
    told.set(id, failed);
    if (["urls", "import"].includes(kind) && failed > before) tell((await api.job(id)).failures.slice(before));
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
  if (!waiting || fetching === null || left.fetch < fetching) tellFailures().catch(() => {});
  fetching = left.fetch;
  const grown = indexed !== null && images.indexed !== indexed;
  indexed = images.indexed;
  if (grown) dispatchEvent(new CustomEvent("library-changed"));
  return waiting ? BUSY_MS : IDLE_MS;
}
