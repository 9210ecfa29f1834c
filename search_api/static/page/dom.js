// Finding and building elements.

export const $ = (id) => document.getElementById(id);

/** An element: `props` are properties, `on…` listeners, `aria-`/`data-`/`role` attributes, `style` custom properties. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, v] of Object.entries(value)) element.style.setProperty(key, v);
    else if (name in element && !name.includes("-") && name !== "role") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A message whose `commands` stand between backticks. */
export const prose = (text) => text.split("`").map((part, index) => (index % 2 ? h("code", {}, part) : part));

/** Whether a key pressed here is meant for the text being written. */
export const writing = (element) => Boolean(element?.closest?.("input:not([type=range], [type=checkbox]), textarea, select"));

/** Text whose `spans` ([start, end], in characters as the server counts them) are marked. */
export function marked(text, spans = []) {
  const letters = [...text]; // code points: the server does not count in UTF-16 units
  const parts = [];
  let at = 0;
  for (const [start, end] of [...spans].sort((a, b) => a[0] - b[0])) {
    if (start < at) continue;
    parts.push(letters.slice(at, start).join(""), h("mark", {}, letters.slice(start, end).join("")));
    at = end;
  }
  return [...parts, letters.slice(at).join("")];
}
