// Building and finding elements, and writing numbers as people read them.

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

const PATHS = {
  search: "M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13Zm4.8 11.3L20 20",
  close: "M6 6l12 12M18 6L6 18",
  plus: "M12 5v14M5 12h14",
  picture: "M4 6.5A1.5 1.5 0 0 1 5.5 5h13A1.5 1.5 0 0 1 20 6.5v11a1.5 1.5 0 0 1-1.5 1.5h-13A1.5 1.5 0 0 1 4 17.5Zm0 9 4.5-4.5 4 4 2.5-2.5 5 5M15 9.5h.01",
  help: "M9.2 9.2a2.9 2.9 0 1 1 4.1 2.7c-.8.4-1.3 1-1.3 1.9v.4M12 17.5h.01M12 3.5a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17Z",
  check: "M5 12.5l4.5 4.5L19 7.5",
  previous: "M14.5 5.5 8 12l6.5 6.5",
  next: "M9.5 5.5 16 12l-6.5 6.5",
  similar: "M4 8V5.5A1.5 1.5 0 0 1 5.5 4H8m8 0h2.5A1.5 1.5 0 0 1 20 5.5V8m0 8v2.5a1.5 1.5 0 0 1-1.5 1.5H16m-8 0H5.5A1.5 1.5 0 0 1 4 18.5V16m8-7a3 3 0 1 1 0 6 3 3 0 0 1 0-6Z",
  open: "M13 5h6v6M19 5l-8 8M10 6H6.5A1.5 1.5 0 0 0 5 7.5v10A1.5 1.5 0 0 0 6.5 19h10a1.5 1.5 0 0 0 1.5-1.5V14",
  bin: "M5 7h14M10 7V5h4v2m-7.5 0 .8 12h9.4l.8-12",
  pen: "M5 19l1-4L16 5l3 3L9 18Z",
};

/** A drawn icon; it never carries meaning alone, so it is hidden from screen readers. */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return h("span", { className: "icon" }, svg);
}

/** Draw the icons the page's own markup asks for. */
export function drawIcons() {
  for (const place of document.querySelectorAll("[data-icon]")) {
    place.replaceChildren(...icon(place.dataset.icon).childNodes);
  }
}

const whole = new Intl.NumberFormat("en");
export const count = (n, one, many = `${one}s`) => `${whole.format(n)} ${n === 1 ? one : many}`;
export const number = (n) => whole.format(n);
export const percent = (x) => `${Math.round(x * 100)} %`;
export const score = (x) => x.toFixed(2);

export function bytes(n) {
  const units = ["bytes", "KB", "MB", "GB"];
  let step = 0;
  while (n >= 1000 && step < units.length - 1) [n, step] = [n / 1000, step + 1];
  return `${step && n < 10 ? n.toFixed(1) : Math.round(n)} ${units[step]}`;
}

let hiding;
/** A short remark at the bottom of the window. */
export function toast(text, action) {
  const place = $("toast");
  place.replaceChildren(h("span", {}, text));
  if (action) {
    place.append(h("button", { type: "button", onclick: () => { place.hidden = true; action.run(); } }, action.label));
  }
  place.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { place.hidden = true; }, action ? 9000 : 4000);
}
