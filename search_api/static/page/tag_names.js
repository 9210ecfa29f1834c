// A field for a tag's name, with the names there are offered below it.

import * as api from "./api.js";
import { h } from "./dom.js";

const OFFERED = 8;
const BETWEEN = /[,;|]/;
let lists = 0;

/** The tags a field names: one, or several with commas, semicolons or bars between, as in tables. A tag that is
 *  called so already is one. */
export async function namesIn(field) {
  const text = field.value.trim();
  if (!BETWEEN.test(text)) return text ? [text] : [];
  const known = await api.complete(text, OFFERED).catch(() => []);
  if (known.some(({ name }) => name === text.toLowerCase())) return [text];
  return [...new Set(text.split(BETWEEN).map((name) => name.trim()).filter(Boolean))];
}

/** An input of tag names; `props` as for `h`. */
export function tagField(props) {
  const list = h("datalist", { id: `tag-names-${lists += 1}` });
  let asking = new AbortController();
  const field = h("input", { type: "text", maxLength: 100, autocomplete: "off", spellcheck: false, ...props, oninput: async () => {
    asking.abort();
    asking = new AbortController();
    if (!field.value.trim()) return list.replaceChildren();
    // A courtesy: without an answer one types the name out.
    const names = await api.complete(field.value.trim(), OFFERED, asking.signal).catch(() => []);
    return list.replaceChildren(...names.map(({ name }) => h("option", { value: name })));
  } });
  field.setAttribute("list", list.id);
  return [field, list];
}
