// What is known of the file.

import { h } from "../page/dom.js";
import { bytes, day, number } from "../page/format.js";

export function facts(image) {
  const place = [image.place, image.latitude === null ? null : `${image.latitude.toFixed(4)}, ${image.longitude.toFixed(4)}`].filter(Boolean).join(" · ");
  const rows = [
    ...[...new Set(image.sources.map((source) => source.external_id))].map((sku) => ["SKU", sku]),
    ["Title", image.title],
    ["Description", image.description],
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

function decodePath(uri) {
  try {
    return decodeURIComponent(uri.replace(/^file:\/\//, ""));
  } catch {
    return uri; // bytes that are no UTF-8
  }
}
