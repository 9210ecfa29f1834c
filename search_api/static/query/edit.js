// Changes to a query's text, each leaving the rest as it was written.

import { segments, values } from "./segments.js";

const STEPS = [0.25, 0.5, 1, 1.5, 2, 3, 5];
const tidy = (query) => query.trim();

/** A value as the grammar wants it: quoted where a space or a sign would end it. */
export const quoted = (value) => (/^[^\s"“„”«\\()|,:^*?]+$/.test(value) && !value.startsWith("-") ? value : `"${value.replace(/["\\]/g, "\\$&")}"`);

function splice(query, { start, end }, text) {
  const before = query.slice(0, start);
  const after = query.slice(end);
  return tidy(text ? before + text + after : `${before.trimEnd()} ${after.trimStart()}`);
}

export const remove = (query, piece) => splice(query, piece, "");
export const add = (query, text) => tidy(`${query.trimEnd()} ${text}`);

/** Include what was excluded, exclude what was included. */
export function flip(query, piece) {
  if (piece.negative) return splice(query, piece, piece.text.slice(1));
  if (piece.kind === "words" || (piece.kind === "term" && !piece.key)) return splice(query, piece, `-text:${quoted(piece.value)}${suffix(piece.weight)}`);
  return splice(query, piece, piece.key || piece.text.startsWith("(") || !piece.several ? `-${piece.text}` : `-(${piece.text})`);
}

const suffix = (weight) => (weight === 1 ? "" : `^${weight}`);

/** One step heavier or lighter; the sign stays the one it has. */
export function weigh(query, piece, direction) {
  const weight = heavier(Math.abs(piece.weight), direction);
  const bare = piece.text.replace(/\^-?[\d.]+$/, "");
  const base = piece.kind === "words" ? `text:${quoted(piece.value)}` : bare;
  return splice(query, piece, base + suffix(weight));
}

function heavier(weight, direction) {
  const others = STEPS.filter((step) => (step - weight) * direction > 1e-9);
  return (direction > 0 ? others[0] : others.at(-1)) ?? weight;
}

const same = (one, other) => one.toLowerCase().replaceAll("_", " ") === other.toLowerCase().replaceAll("_", " ");

/** The piece that states `key:value`, whichever way round; a tag may also be written `-dog`. */
export function stated(query, key, value) {
  return segments(query).find((piece) => piece.kind === "condition" && !piece.several && same(piece.value, value)
    && (piece.key === key || (key === "tag" && piece.key === null && piece.negative)));
}

/** State `key:value` or its opposite; what already says so is taken out again. */
export function toggle(query, key, value, exclude) {
  const found = stated(query, key, value);
  const text = `${exclude ? "-" : ""}${key}:${quoted(value)}`;
  if (!found) return add(query, text);
  return found.negative === exclude ? remove(query, found) : splice(query, found, text);
}

/** As `toggle`, for keys of which an image has one value: a second one included stands beside the first, as an alternative. */
export function choose(query, key, value, exclude) {
  const listed = segments(query).find((piece) => piece.key === key && !piece.negative && piece.kind === "condition" && !piece.several);
  if (!listed || stated(query, key, value)) return toggle(query, key, value, exclude);
  const others = values(listed.written).filter((other) => !same(other, value));
  const had = others.length < values(listed.written).length;
  const list = exclude || had ? others : [...others, value];
  const text = `${key}:${list.map(listValue).join(",")}`;
  return exclude && !had ? toggle(query, key, value, true) : splice(query, listed, text);
}

/** A range stays as it is written. */
const listValue = (value) => (/\.\.|^[<>]/.test(value) ? value : quoted(value));

/** The same query in another order; `null` leaves the order to the server. */
export function order(query, value) {
  const bare = segments(query).filter((piece) => piece.kind === "order").reduceRight(remove, query);
  return value ? add(bare, `order:${value}`) : bare;
}

export const orderOf = (query) => segments(query).find((piece) => piece.kind === "order")?.value ?? null;

const NAMES_ONE = {
  sku: () => true,
  id: (value) => /^\d+$/.test(value),
  path: (value) => /\.(jpe?g|jpe|jfif|png|webp|gif|tiff?|bmp|avif|hei[cf]|jp2|jxl|dng)$/i.test(value) && !/[*?]/.test(value),
};

/** Whether a condition is there to find certain pictures, by number or by name, and nothing else. */
const namesOne = ({ kind, key, negative, several, written }) => kind === "condition" && !negative && !several && values(written).every((value) => NAMES_ONE[key]?.(value));

/** The query without what holds it to certain pictures: nothing else could resemble these. */
export const unbound = (query) => segments(query).filter(namesOne).reduceRight(remove, query);

/** Whether anything is asked that ranks: words, pictures. */
export const ranks = (query) => segments(query).some((piece) => piece.kind === "words" || piece.kind === "term");
