// The whole result as a file, with the fields one wants in it.

import * as api from "../page/api.js";
import { $, h } from "../page/dom.js";
import { icon } from "../page/icons.js";
import { line, menu } from "../page/menu.js";
import * as state from "../page/state.js";

const FORMATS = [["csv", "CSV", "spreadsheets"], ["jsonl", "JSON Lines", "scripts"], ["parquet", "Parquet", "data frames"]];
const FIELDS = ["id", "sku", "path", "title", "caption", "alt_text", "alt_text_by", "tags", "confidences", "human_tags", "rejected_tags", "taken", "added", "width", "height", "format", "bytes", "description", "place", "latitude", "longitude", "score", "as_exported"];
const KEY = "sightline.left-out";
const SAYS = { alt_text_by: "human or model: who wrote alt_text", as_exported: "tells what was edited, once the table is imported again" };

export const initExporting = () => menu($("export"), $("export-menu"), fill);

/** The fields that are not wanted: one that is new in a later version is there until it is taken out. */
const leftOut = () => new Set((localStorage.getItem(KEY) ?? "").split(","));

/** All fields are asked for by naming none; so is a table that would have none. */
function wanted() {
  const kept = FIELDS.filter((field) => !leftOut().has(field));
  return kept.length && kept.length < FIELDS.length ? kept : [];
}

function fill(panel, shut) {
  const { q, all } = state.get();
  const links = FORMATS.map(([format, name, use]) => h("a", { download: "", "data-format": format, onclick: () => shut() }, icon("download"), ...line(name, use)));
  const summary = h("summary", {});
  const follow = () => {
    for (const link of links) link.href = api.exportAddress(q, all, link.dataset.format, wanted());
    summary.textContent = wanted().length ? `${wanted().length} of ${FIELDS.length} fields` : "All fields";
  };
  follow();
  panel.replaceChildren(
    h("p", { className: "hint" }, "Every picture found, not only those shown."),
    h("ul", {}, ...links.map((link) => h("li", {}, link))),
    h("details", { className: "fields" }, summary, ...FIELDS.map((field) => choice(field, follow))));
}

function choice(field, follow) {
  const box = h("input", { type: "checkbox", checked: !leftOut().has(field), onchange: () => {
    const out = leftOut();
    if (box.checked) out.delete(field);
    else out.add(field);
    localStorage.setItem(KEY, [...out].filter(Boolean).join(","));
    follow();
  } });
  return h("label", { title: SAYS[field] }, box, field);
}
