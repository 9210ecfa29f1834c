// Tokens of uploaded pictures are hundreds of characters long: the box shows their first few.

const LONG = /e1\.[A-Za-z0-9_-]{9,}/g;
const SHORT = /e1\.[A-Za-z0-9_-]{6}…/g;
const SHOWN = 6;
const known = new Map();

/** A query as the box shows it; the whole tokens are remembered for `whole`. */
export function brief(query) {
  return query.replace(LONG, (token) => {
    const short = `${token.slice(0, "e1.".length + SHOWN)}…`;
    known.set(short, token);
    return short;
  });
}

/** What the box shows as the query that is asked. */
export const whole = (shown) => shown.replace(SHORT, (short) => known.get(short) ?? short);

/** Where a character of the query (a code point, as the server counts) stands in the box (UTF-16 units). */
export function placeInBox(query, position) {
  return brief([...query].slice(0, position).join("")).length;
}
