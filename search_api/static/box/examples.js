// Pictures dropped to search by. They stay in this browser (IndexedDB), so that a reload or the back
// button finds them again; the server looks at them and forgets them.

import { Refused } from "./api.js";

const known = new Map();
const KEPT = 20;

function database() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("sightline", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("examples");
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

/** Remember a picture; the key under which the address names it. */
export async function keep(file) {
  const key = `${Date.now().toString(36)}${Math.random().toString(36).slice(2, 6)}`;
  known.set(key, { file, url: URL.createObjectURL(file) });
  // Private windows may refuse; then the picture lasts as long as the page.
  await inStore("readwrite", (store) => store.put(file, key)).then(forgetOldest).catch(() => {});
  return key;
}

async function forgetOldest() {
  const keys = await inStore("readonly", (store) => store.getAllKeys());
  for (const key of keys.slice(0, -KEPT)) await inStore("readwrite", (store) => store.delete(key));
}

async function find(key) {
  if (!known.has(key)) {
    const file = await inStore("readonly", (store) => store.get(key)).catch(() => undefined);
    if (!file) {
      throw new Refused({
        name: "example_gone",
        title: "The picture you searched by is no longer here",
        detail: "This address names a picture that was dropped in another browser or long ago. Drop it again.",
      });
    }
    known.set(key, { file, url: URL.createObjectURL(file) });
  }
  return known.get(key);
}

export const file = async (key) => (await find(key)).file;
export const url = async (key) => (await find(key)).url;
