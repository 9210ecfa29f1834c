// Why a picture was found: what each part of the question and each channel gave, and how it was searched.

import * as api from "../page/api.js";
import { h } from "../page/dom.js";
import { milliseconds, score } from "../page/format.js";
import * as state from "../page/state.js";
import { brief } from "../query/tokens.js";

const CHANNELS = { image: "the picture", caption: "its caption", tag: "its tags" };
const PLANS = {
  exact: "compared with every picture, in memory",
  stored: "only the few pictures that pass were compared",
  ids: "Milvus searched among the pictures that pass",
  overfetch: "Milvus searched all, deep enough to lose none that pass",
  stream: "read everything from Postgres, in pages",
};

export function why(hit) {
  if (!hit || hit.score === null) return null;
  const { terms = [] } = hit.why ?? {};
  return h("section", { className: "why" }, h("h3", {}, "Why it was found ", h("span", { className: "says" }, scored(hit))),
    terms.length > 1 ? bars(terms.map(({ term, part }) => ({ name: brief(term), part, note: "" })), "What it owes to each part of the question") : null,
    bars(Object.entries(hit.channels).map(([name, channel]) => ({ name: CHANNELS[name] ?? name, part: channel.part, note: standing(channel) })), "What each channel gave"),
    plan());
}

/** The score beside the one from which pictures are shown. */
function scored({ score: own, cutoff }) {
  if (cutoff === null || cutoff === undefined) return `score ${score(own)}`;
  return `score ${score(own)}, ${own < cutoff ? "would stand out" : "shown"} from ${score(cutoff)}`;
}

function standing({ standing: deviations, cosine }) {
  if (deviations === undefined || deviations === null) return "";
  const side = deviations < 0 ? "below" : "above";
  return h("span", { title: `cosine ${cosine.toFixed(3)}` }, `${Math.abs(deviations).toFixed(1)} σ ${side} usual`);
}

/** Parts of one sum as bars from a common start; what counts against is drawn in another colour. */
function bars(parts, label) {
  const most = Math.max(...parts.map(({ part }) => Math.abs(part)), Number.MIN_VALUE);
  return h("dl", { className: "channels", "aria-label": label }, ...parts.flatMap(({ name, part, note }) => [
    h("dt", {}, name),
    h("dd", {}, h("span", { className: `bar-part ${part < 0 ? "against" : ""}`, style: { "--value": Math.abs(part) / most }, "aria-hidden": "true" }),
      h("span", { className: "value" }, (part < 0 ? "−" : "+") + score(Math.abs(part))), h("span", { className: "note" }, note))]));
}

function plan() {
  const place = h("div", { className: "plan" });
  const opener = h("details", { ontoggle: () => { if (opener.open && !place.firstChild) explain(place); } }, h("summary", {}, "How it was searched"), place);
  return opener;
}

async function explain(place) {
  place.replaceChildren(h("p", { className: "waiting" }, "Asking again, with the plan…"));
  try {
    const { q, all } = state.get();
    const found = await api.search({ q, all, limit: 1, explain: true });
    place.replaceChildren(...told(found.explain, found.cutoff));
  } catch (error) {
    place.replaceChildren(h("p", {}, error.message));
  }
}

function told({ plan: name, estimates_ms: estimates, stages_ms: stages, background }, cutoff) {
  return [
    h("p", {}, h("b", {}, name), PLANS[name] ? `: ${PLANS[name]}.` : "."),
    cutoff === null ? null : h("p", {}, h("b", {}, `Cut-off ${score(cutoff)}`), ": what scores less does not stand out from the library, and is hidden until asked for."),
    table("Estimated for each way", estimates, name), table("Where the time went", stages, null),
    h("p", { className: "note" }, ...Object.entries(background).map(([channel, { mean, deviation }]) => `Usual cosine of ${CHANNELS[channel] ?? channel}: ${mean.toFixed(3)} ± ${deviation.toFixed(3)}. `)),
  ].filter(Boolean);
}

function table(title, values, marked) {
  const rows = Object.entries(values ?? {}).filter(([, ms]) => typeof ms === "number");
  if (!rows.length) return null;
  return h("table", {}, h("caption", {}, title), h("tbody", {}, ...rows.map(([name, ms]) =>
    h("tr", { className: name === marked ? "chosen" : "" }, h("th", { scope: "row" }, name), h("td", {}, milliseconds(ms))))));
}

