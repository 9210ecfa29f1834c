// Pictures to search by. An uploaded one becomes a token in the query; its thumbnail stays in this browser
// (IndexedDB), so that a reload or the back button still shows it. The server keeps nothing of it.

import * as api from "../page/api.js";
import * as state from "../page/state.js";
import { toast } from "../page/toast.js";
import { add, remove, unbound } from "./edit.js";
import { segments } from "./segments.js";

const KEPT = 60;
const SIDE = 160;
const urls = new Map();

function database() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("sightline", 2);
    request.onupgradeneeded = () => {
      for (const name of request.result.objectStoreNames) request.result.deleteObjectStore(name);
      request.result.createObjectStore("examples").createIndex("kept", "kept");
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function inStore(mode, run) {
  const opened = await database();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = opened.transaction("examples", mode);
      const request = run(transaction.objectStore("examples"));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = () => reject(transaction.error);
    });
  } finally {
    opened.close();
  }
}

/** A small copy to recognise it by; of a format this browser cannot draw there is none. */
async function thumbnail(file) {
  const whole = await createImageBitmap(file);
  const scale = Math.min(1, SIDE / Math.min(whole.width, whole.height));
  const canvas = new OffscreenCanvas(Math.max(1, whole.width * scale), Math.max(1, whole.height * scale));
  canvas.getContext("2d").drawImage(whole, 0, 0, canvas.width, canvas.height);
  return canvas.convertToBlob({ type: "image/webp", quality: 0.8 });
}

async function keep(token, file) {
  const blob = await thumbnail(file);
  urls.set(token, URL.createObjectURL(blob));
  await inStore("readwrite", (store) => store.put({ blob, kept: Date.now() }, token));
  const oldest = await inStore("readonly", (store) => store.index("kept").getAllKeys());
  for (const key of oldest.slice(0, -KEPT)) await inStore("readwrite", (store) => store.delete(key));
}

/** Where to see what a `like:` term names: an image of the library, or a picture shown earlier here. */
export async function pictureOf(value) {
  if (/^\d+$/.test(value)) return `/v1/images/${value}/thumbnail`;
  if (!urls.has(value)) {
    const found = await inStore("readonly", (store) => store.get(value)).catch(() => undefined);
    urls.set(value, found ? URL.createObjectURL(found.blob) : null);
  }
  return urls.get(value);
}

/** Add pictures to the question. */
export async function searchBy(files) {
  const pictures = [...files].filter((file) => file.type.startsWith("image/") || !file.type);
  if (!pictures.length) return toast("That is not a picture.");
  toast(pictures.length === 1 ? "Looking at the picture" : `Looking at ${pictures.length} pictures`);
  for (const file of pictures) {
    try {
      const token = await api.example(file);
      await keep(token, file).catch(() => {}); // no thumbnail to show, or a private window: the search works
      state.ask(add(state.get().q, `like:${token}`));
    } catch (error) {
      return toast(`${file.name || "The picture"}: ${error.message}`);
    }
  }
  return toast(pictures.length === 1 ? "Searching by your picture" : "Searching by your pictures");
}

/**
 * Ask for what resembles an image of the library, or for less of it. With nothing ranked yet, or only this
 * image, the filter stays and the image is what is ranked by; else it joins the other terms. Conditions by which
 * certain pictures were looked up go: nothing else would pass them.
 */
export function moreLike(id, less) {
  const { q } = state.get();
  const stated = segments(q).find((piece) => piece.key === "like" && piece.value === String(id));
  const rest = stated ? remove(q, stated) : q;
  state.ask(add(unbound(rest), `${less ? "-" : ""}like:${id}`));
  scrollTo({ top: 0 });
}
