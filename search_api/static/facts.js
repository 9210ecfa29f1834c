// What is known of a picture, each statement with who makes it.

import * as api from "./api.js";
import { bytes, h, icon, number, percent, toast } from "./dom.js";
import * as state from "./state.js";

const section = (title, ...content) => h("section", {}, h("h3", {}, title), ...content);

/** A person, the file itself, or a model at a version. */
function says(source) {
  if (source.kind === "human") return h("span", { className: "says human" }, source.name);
  if (source.kind === "file") return h("span", { className: "says" }, "the file");
  return h("span", { className: "says", title: `model ${source.name}, weights ${source.version}` }, `${source.name} ${source.version.slice(0, 6)}`);
}

const who = (source) => [source.kind, source.name, source.version].join("/");

async function correct(request, redraw) {
  try {
    redraw(await request);
  } catch (error) {
    toast(error.message);
  }
}

export function captions(image, redraw) {
  const own = image.captions.find((caption) => caption.source.kind === "human");
  const field = h("textarea", { rows: 2, maxLength: 2000, "aria-label": "Your caption", value: own?.text ?? image.captions[0]?.text ?? "" });
  const form = h("form", { className: "write", hidden: true, onsubmit: (event) => {
    event.preventDefault();
    if (field.value.trim()) correct(api.writeCaption(image.id, field.value.trim()), redraw);
  } }, field, h("button", { type: "submit", className: "button" }, "Save"));
  const opener = h("button", { type: "button", className: "quiet", "aria-label": own ? "Change your caption" : "Write a caption", title: own ? "Change your caption" : "Write a caption", onclick: () => { form.hidden = !form.hidden; if (!form.hidden) field.focus(); } }, icon("pen"));
  return h("section", { className: "captions" },
    ...image.captions.map((caption, index) => h("p", { className: index ? "caption other" : "caption" }, caption.text, " ", says(caption.source))),
    opener, form);
}

/** How the score came about: each channel's cosine and its share. */
export function why(hit, weights) {
  if (!hit || hit.score === null) return null;
  const names = { image: "the picture", caption: "its caption" };
  return section("Why it was found",
    h("dl", { className: "channels" }, ...Object.entries(hit.scores).flatMap(([name, value]) => [
      h("dt", {}, names[name] ?? name),
      h("dd", {}, meter(value, null), h("span", { className: "value" }, value.toFixed(3)), h("span", { className: "says" }, `× ${weights[name] ?? 1}`))]),
    h("dt", {}, "together"), h("dd", {}, meter(hit.score, null), h("span", { className: "value" }, hit.score.toFixed(3)))));
}

function meter(value, threshold) {
  const style = { "--value": Math.max(0, Math.min(1, value)) };
  if (threshold !== null) style["--threshold"] = threshold;
  return h("span", { className: threshold === null ? "meter" : "meter marked", style, "aria-hidden": "true" });
}

export function tagList(image, redraw, matched) {
  const byName = Map.groupBy ? Map.groupBy(image.tags, (tag) => tag.name) : grouped(image.tags);
  const field = h("input", { type: "text", maxLength: 100, placeholder: "Add a tag", "aria-label": "Add a tag", "data-focus": "add-tag" });
  const form = h("form", { className: "add-tag", onsubmit: (event) => {
    event.preventDefault();
    if (field.value.trim()) correct(api.stateTag(image.id, field.value.trim(), true), redraw);
  } }, field);
  // Most tags come from one model: it is named once, in the heading, and others where they speak.
  const usual = image.tags.find((tag) => tag.source.kind === "model")?.source;
  const rows = [...byName].map(([name, tags]) => statement({ image, name, tags, redraw, usual, matched: matched.includes(name) }));
  return h("section", {}, h("h3", {}, "Tags ", usual ? says(usual) : null),
    rows.length ? h("ul", { className: "statements" }, ...rows) : h("p", { className: "none" }, "No tag was sure enough."),
    form);
}

function grouped(tags) {
  const found = new Map();
  for (const tag of tags) found.set(tag.name, [...(found.get(tag.name) ?? []), tag]);
  return found;
}

function statement({ image, name, tags, redraw, usual, matched }) {
  const rejected = tags.some((tag) => tag.rejected);
  const mine = tags.some((tag) => tag.source.kind === "human" && !tag.rejected);
  const tool = (label, drawn, shown, pressed) => h("button", { type: "button", className: `quiet ${pressed ? "on" : ""}`, "aria-label": `${label}: ${name}`, "aria-pressed": String(pressed), title: label, "data-focus": `${drawn}-${name}`, onclick: () => correct(api.stateTag(image.id, name, shown), redraw) }, icon(drawn));
  return h("li", { className: [rejected ? "rejected" : "", matched ? "matched" : ""].join(" ") },
    h("button", { type: "button", className: "tag", title: "Search for this tag", "data-focus": `tag-${name}`, onclick: () => filterBy(name) }, name),
    h("span", { className: "who" }, ...tags.map((tag) => said(tag, usual))),
    h("span", { className: "tools" }, tool("Yes, it shows this", "check", true, mine), tool("No, it does not", "close", false, rejected)));
}

function said(tag, usual) {
  const speaker = usual && who(tag.source) === who(usual) ? null : says(tag.source);
  if (tag.rejected) return h("span", { className: "line" }, h("span", { className: "verdict" }, "not here, says"), says(tag.source));
  const label = tag.threshold === null ? percent(tag.confidence) : `${percent(tag.confidence)}, asserted from ${percent(tag.threshold)}`;
  return h("span", { className: "line", title: label }, meter(tag.confidence, tag.threshold), h("span", { className: "value" }, percent(tag.confidence)), speaker);
}

function filterBy(name) {
  state.set({ image: null }, { push: false });
  state.putTag(name, "all");
}

export function facts(image) {
  const place = [image.place, image.latitude === null ? null : `${image.latitude.toFixed(4)}, ${image.longitude.toFixed(4)}`].filter(Boolean).join(" · ");
  const rows = [
    ["Title", image.title],
    ["Description", image.description],
    ["Taken", image.taken_at && new Date(image.taken_at).toLocaleString([], { dateStyle: "long", timeStyle: "short" })],
    ["Place", place],
    ["Size", [image.width && `${number(image.width)} × ${number(image.height)}`, image.format?.toUpperCase(), bytes(image.bytes)].filter(Boolean).join(" · ")],
    ["Added", new Date(image.added_at).toLocaleString([], { dateStyle: "long", timeStyle: "short" })],
    ...image.sources.map((source) => ["From", source.kind === "upload" ? `uploaded as ${source.name}` : source.kind === "path" ? decodePath(source.uri) : source.uri]),
    ["SHA-256", image.content_hash],
  ];
  return section("About the file", h("dl", { className: "facts" }, ...rows.filter(([, value]) => value).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
}

function decodePath(uri) {
  try {
    return decodeURIComponent(uri.replace(/^file:\/\//, ""));
  } catch {
    return uri; // bytes that are no UTF-8
  }
}
