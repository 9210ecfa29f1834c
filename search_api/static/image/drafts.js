// Captions begun and not saved, by picture: they outlive the panel they are written in, and a reload of the page.

const key = (id) => `sightline-caption-of-${id}`;
const kept = new Map(); // for where the browser stores nothing

/** The text begun for a picture, or null. */
export function draftOf(id) {
  try {
    return sessionStorage.getItem(key(id));
  } catch {
    return kept.get(id) ?? null;
  }
}

export function keepDraft(id, text) {
  try {
    sessionStorage.setItem(key(id), text);
  } catch {
    kept.set(id, text);
  }
}

export function forgetDraft(id) {
  kept.delete(id);
  try {
    sessionStorage.removeItem(key(id));
  } catch {
    // there is none
  }
}
