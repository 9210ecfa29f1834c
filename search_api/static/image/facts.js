// What is known of the file.

import { h } from "../page/dom.js";
import { bytes, day, number } from "../page/format.js";
import * as state from "../page/state.js";
import { quoted } from "../query/edit.js";

export function facts(image) {
  const place = [image.place, image.latitude === null ? null : `${image.latitude.toFixed(4)}, ${image.longitude.toFixed(4)}`].filter(Boolean).join(" · ");
  const rows = [
    ...[...new Set(image.sources.map((source) => source.external_id))].map((sku) => ["SKU", sku]),
    ["Title", image.title],
    ["Description", image.description],
    ...image.collections.map((name) => ["Collection", collection(name)]),
    ["Taken", image.taken_at && day(image.taken_at)],
    ["Place", place],
    ["Size", [image.width && `${number(image.width)} × ${number(image.height)}`, image.format?.toUpperCase(), bytes(image.bytes)].filter(Boolean).join(" · ")],
    ["Added", day(image.added_at)],
    ...image.sources.map((source) => ["From", source.kind === "upload" ? `uploaded as ${source.name}` : source.kind === "path" ? decodePath(source.uri) : source.uri]),
    ["Number", `${image.id}, as in id:${image.id} and like:${image.id}`],
    ["SHA-256", image.content_hash],
  ];
  return h("section", {}, h("h3", {}, "About the file"), h("dl", { className: "facts" }, ...rows.filter(([, value]) => value).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
}

/** Its name, which leads to all that is in it. */
function collection(name) {
  const q = `collection:${quoted(name)}`;
  return h("a", { href: state.address({ ...state.get(), q, all: false, image: null }), "data-focus": `collection-${name}`, onclick: (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    state.ask(q);
  } }, name);
}

function decodePath(uri) {
  try {
    return decodeURIComponent(uri.replace(/^file:\/\//, ""));
  } catch {
    return uri; // bytes that are no UTF-8
  }
}
