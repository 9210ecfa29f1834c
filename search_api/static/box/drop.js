// Pictures dropped, pasted or chosen: to search by, or to add.

import { $, writing } from "../page/dom.js";
import * as state from "../page/state.js";
import { toast } from "../page/toast.js";
import { searchBy } from "../query/examples.js";
import { add } from "../uploads/uploads.js";

let depth = 0;

export function initDrop() {
  addEventListener("dragenter", (event) => { if (carriesFiles(event)) { event.preventDefault(); depth += 1; show(true); } });
  addEventListener("dragover", (event) => { if (carriesFiles(event)) { event.preventDefault(); aim(event.target); } });
  addEventListener("dragleave", () => { depth = Math.max(0, depth - 1); if (!depth) show(false); });
  addEventListener("drop", onDrop);
  addEventListener("paste", onPaste);
  $("by-picture").addEventListener("click", () => $("pick-example").click());
  $("add").addEventListener("click", () => $("pick-uploads").click());
  $("pick-example").addEventListener("change", (event) => { searchBy([...event.target.files]); event.target.value = ""; });
  $("pick-uploads").addEventListener("change", (event) => { add([...event.target.files]); event.target.value = ""; });
}

const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");

function show(visible) {
  $("drop").hidden = !visible;
  if (visible && state.get().image) state.set({ image: null });
}

function aim(target) {
  for (const zone of document.querySelectorAll(".zone")) zone.classList.toggle("aimed", zone.contains(target));
}

async function onDrop(event) {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  depth = 0;
  show(false);
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const files = [...event.dataTransfer.files];
  if ($("zone-search").contains(event.target)) searchBy(files);
  else add(entries.some((entry) => entry.isDirectory) ? await within(entries) : files);
}

/** Every file in dropped folders, at any depth; hidden ones are left out. */
async function within(entries) {
  const found = [];
  for (const entry of entries) {
    if (entry.name.startsWith(".")) continue;
    if (entry.isFile) found.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    else found.push(...(await within(await listing(entry.createReader()))));
  }
  return found;
}

async function listing(reader) {
  const all = [];
  for (;;) {
    const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!part.length) return all;
    all.push(...part);
  }
}

async function onPaste(event) {
  const files = [...(event.clipboardData?.files ?? [])].filter((item) => item.type.startsWith("image/"));
  if (!files.length || (writing(event.target) && event.target !== $("text"))) return;
  event.preventDefault();
  const before = state.get().q;
  await searchBy(files);
  toast("Searching by the pasted picture", { label: "Add it to the library instead", run: () => { state.ask(before); add(files); } });
}
