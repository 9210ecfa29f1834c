// The picture itself, and over it, on demand, where a tag was seen.

import * as api from "../page/api.js";
import { $, h } from "../page/dom.js";
import { drawHeat } from "./heat.js";

const SHOWN = new Set(["jpeg", "png", "webp", "gif", "bmp", "avif"]);
const WAIT_MS = 120;
const maps = new Map();
let waiting;
let wanted = null;

/** Whether a browser draws this format itself. */
export const isShown = (image) => SHOWN.has(image.format);

/** The original where a browser can show it, over the thumbnail while it loads. */
export function stage(image) {
  const thumbnail = image.thumbnail_url;
  if (!thumbnail) return h("span", { className: "gone" }, "no picture");
  const shape = { "--w": image.width, "--h": image.height };
  const alt = image.captions[0]?.text ?? "";
  const layers = [h("img", { src: thumbnail, alt, className: "small" })];
  if (isShown(image)) layers.push(original(image));
  return h("div", { className: "frame", style: shape }, ...layers, h("canvas", { className: "heat", "aria-hidden": "true" }), h("p", { className: "legend", hidden: true, role: "status" }));
}

function original(image) {
  const version = new URL(image.thumbnail_url, location).searchParams.get("v");
  const large = h("img", { alt: "", className: "large", onload: () => large.classList.add("here"), onerror: () => large.remove() });
  large.src = version ? `${image.original_url}?v=${version}` : image.original_url;
  return large;
}

/** Draw where a tag was seen, once the pointer or the focus has rested on it. */
export function showHeat(id, name) {
  clearTimeout(waiting);
  wanted = `${id}/${name}`;
  waiting = setTimeout(() => look(id, name), WAIT_MS);
}

async function look(id, name) {
  const key = `${id}/${name}`;
  legend(`Looking for “${name}”…`);
  try {
    if (!maps.has(key)) maps.set(key, await api.heat(id, name));
    if (wanted !== key) return;
    const map = maps.get(key);
    drawHeat($("detail").querySelector("canvas.heat"), map.values);
    const anywhere = map.values.some((row) => row.some((value) => value > 0));
    legend(anywhere ? `Where “${name}” was seen. Coarse: ${map.columns} × ${map.rows} patches.` : `“${name}” hangs on no place in particular.`);
  } catch (error) {
    if (wanted === key) legend(error.message);
  }
}

export function hideHeat() {
  clearTimeout(waiting);
  wanted = null;
  $("detail").querySelector("canvas.heat")?.classList.remove("here");
  legend("");
}

export function forgetHeat() {
  hideHeat();
  maps.clear();
}

function legend(text) {
  const place = $("detail").querySelector(".legend");
  if (!place) return;
  place.textContent = text;
  place.hidden = !text;
}
