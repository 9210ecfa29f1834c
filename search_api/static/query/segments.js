// A query's text cut into the pieces one sees: runs of words, conditions, groups, alternatives.
// Only where pieces begin and end is decided here; what they mean, and whether they are right, the server says.

const SPACE = /\s/;
const KEYED = /^-?([a-z_]+):/i;
// Keyboards and phones replace quotes. A quote within a word, as in 12", is only a letter.
const QUOTES = { '"': '"', "“": "”“", "„": "“”", "”": "”", "«": "»" };
const BEFORE_QUOTE = /[\s:,(-]/;
const TERMS = new Set(["like", "text"]);

/**
 * The pieces of a query, in order: `{start, end, text, kind, negative, key, written, value, weight, several}`;
 * `written` is the value as it stands there, `value` the same without quotes, `several` whether it is a group.
 * `kind`: "words" (free text), "term" (like:, text: or a weighted phrase), "order", "condition".
 */
export function segments(query) {
  const whole = [];
  const atoms = [...atomsOf(query)];
  for (let at = 0; at < atoms.length; at += 1) {
    const last = endOfChain(atoms, at);
    if (atoms.slice(at, last).some(isOr)) {
      whole.push(alternatives(query, atoms[at], atoms[last]));
      at = last;
    } else if (!isAnd(atoms[at])) whole.push(describe(atoms[at]));
  }
  return joinWords(query, whole);
}

const isOr = (atom) => atom !== undefined && /^(or|\|+)$/i.test(atom.text);
const isAnd = (atom) => atom !== undefined && /^and$/i.test(atom.text);

/** `or` and `and` bind more tightly than a space: what they join is one piece if there is an `or` in it. */
function endOfChain(atoms, start) {
  let last = start;
  while ((isOr(atoms[last + 1]) || isAnd(atoms[last + 1])) && atoms[last + 2]) last += 2;
  return last;
}

function* atomsOf(query) {
  let at = 0;
  while (at < query.length) {
    if (SPACE.test(query[at])) { at += 1; continue; }
    const end = query[at] === "|" ? at + 1 : endOfAtom(query, at);
    yield { start: at, end, text: query.slice(at, end) };
    at = end;
  }
}

/** An atom runs to the next space or bar that is neither quoted, escaped nor in parentheses. */
function endOfAtom(query, start) {
  let depth = 0;
  let closing = "";
  for (let at = start; at < query.length; at += 1) {
    const letter = query[at];
    if (letter === "\\") at += 1;
    else if (closing) closing = closing.includes(letter) ? "" : closing;
    else if (QUOTES[letter] && (at === start || BEFORE_QUOTE.test(query[at - 1]))) closing = QUOTES[letter];
    else if (letter === "(") depth += 1;
    else if (letter === ")") depth = Math.max(0, depth - 1);
    else if (depth === 0 && (SPACE.test(letter) || letter === "|")) return at;
  }
  return query.length;
}

const alternatives = (query, first, last) => ({
  start: first.start, end: last.end, text: query.slice(first.start, last.end), kind: "condition", key: null, value: query.slice(first.start, last.end), negative: false, weight: 1, several: true,
});

function describe(atom) {
  const [, weight] = atom.text.match(/\^(-?[\d.]+)$/) ?? [];
  const bare = weight === undefined ? atom.text : atom.text.slice(0, -weight.length - 1);
  const negative = bare.startsWith("-") && bare.length > 1;
  const key = bare.match(KEYED)?.[1].toLowerCase() ?? null;
  const written = key ? bare.slice(bare.indexOf(":") + 1) : bare.slice(negative ? 1 : 0);
  return { ...atom, written, value: unquote(written), kind: kindOf(bare, key, negative, weight), negative, key, weight: weight === undefined ? 1 : Number(weight), several: bare.includes("(") };
}

function kindOf(bare, key, negative, weight) {
  if (key === "order") return "order";
  if (TERMS.has(key)) return "term";
  if (weight !== undefined && !key && !negative && !bare.startsWith("(")) return "term";
  if (key || negative || bare.startsWith("(")) return "condition";
  return "words";
}

export const unquote = (value) => (/^["“„”«].*["”“»]$/s.test(value) && value.length > 1 ? value.slice(1, -1).replace(/\\(.)/g, "$1") : value);

/** The values of `a,"b, c"`, unquoted. */
export const values = (text) => (text.match(/("(?:[^"\\]|\\.)*"|[^,])+/g) ?? []).map(unquote);

/** Words that stand next to each other are one text. */
function joinWords(query, pieces) {
  const joined = [];
  for (const piece of pieces) {
    const before = joined.at(-1);
    if (piece.kind === "words" && before?.kind === "words") {
      const text = query.slice(before.start, piece.end);
      joined[joined.length - 1] = { ...before, end: piece.end, text, value: text };
    } else joined.push(piece);
  }
  return joined;
}
