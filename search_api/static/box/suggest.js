// What may be meant by what is being written: tags with their counts, keys of the language, their values.

import * as api from "../page/api.js";
import { $, h } from "../page/dom.js";
import { count } from "../page/format.js";
import { icon } from "../page/icons.js";
import { quoted } from "../query/edit.js";
import { keys } from "../query/keys.js";

const TAGS = 7;
const VALUES = 5;
const SKUS = 3;
const SKUS_FROM = 3; // letters
const OWN = ["sku", "collection"];
const KEYS_SHOWN = 3;
const WORDS = 3;
const WAIT_MS = 60;
let options = [];
let active = -1;
let asking = new AbortController();
let waiting;
let write;

export function initSuggest(box) {
  write = box.write;
  $("text").addEventListener("blur", close);
}

/** Whether names to choose from are in sight. */
export const offering = () => options.length > 0;

/** Look at what stands before the caret and offer what it may become. */
export function offer() {
  clearTimeout(waiting);
  asking.abort();
  waiting = setTimeout(look, WAIT_MS);
}

async function look() {
  asking = new AbortController();
  const { signal } = asking;
  const fragment = fragmentAtCaret();
  if (!fragment) return close();
  const language = await keys();
  const offered = [...valuesOf(language, fragment), ...keysLike(language, fragment)];
  if (signal.aborted) return undefined;
  try {
    open([...(await Promise.all([tags(fragment, signal), own(fragment, signal)])).flat(), ...offered]);
  } catch (error) {
    // Suggestions are a courtesy: the search itself reports what is wrong.
    if (error.name !== "AbortError") open(offered);
  }
  return undefined;
}

/** The piece being written: `{start, end, sign, key, written, tails}`; none inside quotes or after a space. */
function fragmentAtCaret() {
  const box = $("text");
  const before = box.value.slice(0, box.selectionStart);
  const [, sign = "", key = null, written = ""] = before.match(/(?:^|[\s(|])(-?)(?:([a-z_]+):)?("?[^\s"()|]*)$/i) ?? [];
  if (!before || (!written && !key)) return null;
  const bare = written.replace(/^"/, "");
  const start = before.length - written.length - sign.length - (key ? key.length + 1 : 0);
  return { start, end: box.selectionStart, sign, key: key?.toLowerCase() ?? null, written: bare, before };
}

async function tags(fragment, signal) {
  const { sign, key, written, end } = fragment;
  if (key && key !== "tag") return [];
  if (written.length < (key ? 1 : 2)) return [];
  const tails = key || sign ? [[written, fragment.start]] : lastWords(fragment);
  const answers = await Promise.all(tails.map(([words]) => api.complete(words, TAGS, signal)));
  // What no picture shows would lead to nothing.
  const found = answers.map((names) => names.filter((tag) => tag.count));
  const best = found.findIndex((names) => names.length);
  if (best < 0) return [];
  const start = tails[best][1];
  return found[best].map((tag) => ({ drawn: "tag", sign, name: tag.name, alias: tag.alias, note: count(tag.count, "picture"), start, end, text: `${sign}tag:${quoted(tag.name)} ` }));
}

/** People's own values of the key before the colon; without a key, SKUs: they are pasted as they are. */
async function own({ sign, key, written, start, end }, signal) {
  if (key ? !OWN.includes(key) : written.length < SKUS_FROM) return [];
  const wanted = key ?? "sku";
  const found = await api.values(wanted, written, key ? VALUES : SKUS, signal);
  return found.map(({ value, images }) => ({
    drawn: "key", sign, name: `${wanted}:${value}`, note: count(images, "picture"), start, end, text: `${sign}${wanted}:${quoted(value)} `,
  }));
}

/** The last three words, the last two, the last, each with where it starts: names of tags have several. */
function lastWords({ before, end }) {
  const found = [];
  let tail = "";
  while (found.length < WORDS) {
    const [word] = before.slice(0, end - tail.length).match(/(?:^|(?<=\s))[^\s"():|^-][^\s"():|^]*\s*$/) ?? [];
    if (!word) break;
    tail = word + tail;
    found.unshift([tail.trimStart(), end - tail.length]);
  }
  return found;
}

function keysLike(language, { sign, key, written, start, end }) {
  if (key || written.length < 1) return [];
  return language.filter((one) => one.key.startsWith(written.toLowerCase())).slice(0, KEYS_SHOWN).map((one) => ({
    drawn: "key", sign, name: `${one.key}:`, note: one.help, start, end, text: `${sign}${one.key}:`, open: true,
  }));
}

function valuesOf(language, { sign, key, written, start, end }) {
  const known = language.find((one) => one.key === key)?.choices ?? [];
  return known.filter((value) => value.startsWith(written.toLowerCase())).map((value) => ({
    drawn: "key", sign, name: `${key}:${value}`, note: "", start, end, text: `${sign}${key}:${value} `,
  }));
}

function open(found) {
  options = found;
  active = -1;
  $("suggestions").replaceChildren(...found.map(option));
  $("suggestions").hidden = !found.length;
  $("text").setAttribute("aria-expanded", String(found.length > 0));
  $("text").removeAttribute("aria-activedescendant");
}

const option = (one, index) => h("li", { id: `option-${index}`, role: "option", "aria-selected": "false", onpointerdown: (event) => event.preventDefault(), onclick: () => choose(index) },
  icon(one.drawn),
  h("span", { className: "name" }, one.sign ? `without ${one.name}` : one.name, one.alias ? h("span", { className: "alias" }, ` ${one.alias}`) : null),
  h("span", { className: "count" }, one.note));

export function close() {
  clearTimeout(waiting);
  asking.abort();
  open([]);
}

function choose(index) {
  const { start, end, text, open: unfinished } = options[index];
  const { value } = $("text");
  const rest = value.slice(end).trimStart();
  close();
  $("text").focus();
  write(value.slice(0, start) + text + rest, start + text.length);
  if (unfinished) offer();
}

function move(step) {
  // One place more than there are options: none of them chosen, back at what was written.
  const places = options.length + 1;
  active = ((active + 1 + step + places) % places) - 1;
  for (const [index, item] of [...$("suggestions").children].entries()) item.setAttribute("aria-selected", String(index === active));
  $("suggestions").children[active]?.scrollIntoView({ block: "nearest" });
  if (active >= 0) $("text").setAttribute("aria-activedescendant", `option-${active}`);
  else $("text").removeAttribute("aria-activedescendant");
}

/** Keys while the list is open; whether one was meant for it. */
export function onKey(event) {
  if (!options.length) return false;
  if (event.key === "ArrowDown") move(1);
  else if (event.key === "ArrowUp") move(-1);
  else if (event.key === "Enter" && active >= 0) choose(active);
  else if (event.key === "Tab" && active >= 0 && !event.shiftKey) choose(active);
  else if (event.key === "Escape") close();
  else return false;
  event.preventDefault();
  return true;
}
