// Adding pictures: sent a few at a time, then followed until they can be found.

import * as api from "../page/api.js";
import { $, h, prose } from "../page/dom.js";
import { bytes, count } from "../page/format.js";
import { icon } from "../page/icons.js";

const BATCH_FILES = 20;
const BATCH_BYTES = 32 * 2 ** 20;
const POLL_MS = 1000;
const TABLE = /\.(csv|tsv|jsonl|ndjson)$/i;
const SHEET = /\.(xlsx?|ods|numbers)$/i;
const rows = [];
let maxBytes = Infinity;
let sending = Promise.resolve();

export function initUploads() {
  api.stats().then((stats) => { maxBytes = stats.max_bytes; }).catch(() => {});
  addEventListener("beforeunload", (event) => { if (rows.some((row) => row.status === "waiting" || row.status === "sending")) event.preventDefault(); });
}

/** Queue files for sending; a second call waits its turn. */
export function add(files) {
  if (!files.length) return;
  const added = files.map((file) => ({ file, name: file.name, status: "waiting", sent: 0, note: "", job: null }));
  rows.unshift(...added);
  $("uploads").hidden = false;
  const fit = added.filter(noTable).filter((row) => row.file.size <= maxBytes || refuse(row, `Over the limit of ${bytes(maxBytes)}. Shrink it and try again.`));
  draw();
  for (const batch of batches(fit)) sending = sending.then(() => send(batch));
}

/** List what did not come by this page and could not be used, with the reason. */
export function tell(failures) {
  rows.unshift(...failures.map(({ name, message }) => ({ file: { size: 0 }, name, status: "refused", sent: 1, note: message, job: null })));
  $("uploads").hidden = !rows.length;
  draw();
}

/** Tables are taken elsewhere, where they may name files and addresses. */
function noTable(row) {
  if (!TABLE.test(row.name) && !SHEET.test(row.name)) return true;
  return refuse(row, `A table is no picture. ${TABLE.test(row.name) ? "" : "Save it as CSV, then "}\`sightline import FILE\` brings the pictures it names and what it says of them.`);
}

function refuse(row, note) {
  Object.assign(row, { status: "refused", note });
  return false;
}

function batches(list) {
  const all = [];
  let size = Infinity;
  for (const row of list) {
    if (size + row.file.size > BATCH_BYTES || all.at(-1).length === BATCH_FILES) {
      all.push([]);
      size = 0;
    }
    all.at(-1).push(row);
    size += row.file.size;
  }
  return all;
}

async function send(batch) {
  for (const row of batch) row.status = "sending";
  draw();
  try {
    const answer = await api.upload(batch.map((row) => row.file), (loaded) => spread(batch, loaded));
    settle(batch, answer.items, answer.job_id);
    follow(answer.job_id);
  } catch (error) {
    if (error.problem?.items) settle(batch, error.problem.items, null);
    else for (const row of batch) refuse(row, error.message);
  }
  draw();
}

/** One request carries the files one after the other, so its progress is theirs in turn. */
function spread(batch, loaded) {
  let left = loaded;
  for (const row of batch) {
    row.sent = row.file.size ? Math.min(1, left / row.file.size) : 1;
    left = Math.max(0, left - row.file.size);
  }
  draw();
}

function settle(batch, items, job) {
  for (const [index, row] of batch.entries()) {
    const item = items[index];
    Object.assign(row, { job, status: item.status === "accepted" ? "indexing" : item.status, note: item.error?.detail ?? "", image: item.image_id, sent: 1 });
    row.file = { size: row.file.size }; // the bytes are sent: let the browser forget them
  }
}

async function follow(id) {
  dispatchEvent(new CustomEvent("uploads-sent"));
  for (;;) {
    let job;
    try {
      job = await api.job(id);
    } catch {
      await pause(POLL_MS * 5); // the server will be back
      continue;
    }
    mark(job);
    draw();
    if (job.done) break;
    await pause(POLL_MS);
  }
  dispatchEvent(new CustomEvent("library-changed"));
  dispatchEvent(new CustomEvent("uploads-sent"));
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function mark(job) {
  const mine = rows.filter((row) => row.job === job.id);
  const failures = new Map(job.failures.map((failure) => [failure.name, failure.message]));
  for (const row of mine) {
    if (row.status !== "refused" && failures.has(row.name)) refuse(row, failures.get(row.name));
    else if (row.status === "indexing" && job.done) row.status = "done";
  }
  const indexing = mine.filter((row) => row.status === "indexing");
  // Workers take the files in order.
  if (!job.done) for (const row of indexing.slice(0, Math.max(0, indexing.length - job.pending))) row.status = "done";
}

const SAYS = { waiting: "waiting", sending: "sending", indexing: "being looked at", done: "can be found", known: "already in the library", refused: "not added" };

function draw() {
  const open = rows.filter((row) => ["waiting", "sending", "indexing"].includes(row.status)).length;
  const refused = rows.filter((row) => row.status === "refused").length;
  const done = rows.length - open - refused;
  const parts = [open ? `${count(open, "picture")} to go` : null, done ? `${done} done` : null, refused ? `${refused} not added` : null];
  const [said, closer, bar, list] = panel();
  said.textContent = parts.filter(Boolean).join(" · ");
  closer.disabled = open > 0;
  closer.title = open ? "Still working" : "Close";
  Object.assign(bar, { max: rows.length, value: done + refused });
  list.replaceChildren(...rows.slice(0, 200).map(line));
}

/** The panel's parts, made once: what is read aloud must stay in place to be read aloud again. */
function panel() {
  const place = $("uploads");
  if (!place.firstChild) {
    place.append(
      h("header", {}, h("h2", {}, h("span", { role: "status" })),
        h("button", { type: "button", className: "quiet", "aria-label": "Close the list", onclick: dismiss }, icon("close"))),
      h("progress", { "aria-label": "All pictures" }),
      h("ul", {}));
  }
  return ["[role=status]", "button", "progress", "ul"].map((part) => place.querySelector(part));
}

function line(row) {
  return h("li", { className: row.status },
    h("span", { className: "name", title: row.name }, row.name),
    h("span", { className: "status" }, row.status === "sending" ? `${Math.round(row.sent * 100)} %` : SAYS[row.status]),
    row.status === "sending" ? h("progress", { max: 1, value: row.sent, "aria-label": row.name }) : null,
    row.note ? h("p", {}, ...prose(row.note)) : null);
}

function dismiss() {
  rows.length = 0;
  $("uploads").hidden = true;
}
