// What is being asked and shown, kept in the address: back, forward, reload and a copied link all work.

import { segments } from "../query/segments.js";

const EMPTY = { q: "", all: false, image: null, folded: "" };
const listeners = new Set();
let current = read(location.search);

export function read(search) {
  const params = new URLSearchParams(search);
  const image = Number(params.get("image"));
  return {
    q: params.get("q") ?? "",
    all: params.get("all") === "1",
    image: Number.isSafeInteger(image) && image > 0 ? image : null,
    folded: params.get("folded") ?? "",
  };
}

/** The address of a state; `folded` names the groups of facets that are shut, or `rail` for all of it. */
export function address(state) {
  const params = new URLSearchParams();
  if (state.q.trim()) params.set("q", state.q.trim());
  if (state.all) params.set("all", "1");
  if (state.folded) params.set("folded", state.folded);
  if (state.image) params.set("image", state.image);
  const text = params.toString();
  return text ? `/?${text}` : "/";
}

export const get = () => current;

/** What decides which hits there are. */
export const question = ({ q, all }) => JSON.stringify([q.trim(), all]);

/** What of a query decides how well a picture fits it. */
const ranking = (q) => segments(q).filter(({ kind }) => kind === "words" || kind === "term").map(({ text }) => text).join(" ");

/** Change the state; `push` makes a step one can go back from. */
export function set(change, { push = true } = {}) {
  const before = current;
  current = { ...current, ...change };
  // The switch belongs to the words and pictures it was pressed for; their order and conditions may change.
  if (ranking(current.q) !== ranking(before.q) && change.all === undefined) current.all = false;
  const url = address(current);
  if (url !== address(before)) {
    if (push) dispatchEvent(new CustomEvent("leaving"));
    history[push ? "pushState" : "replaceState"](push ? null : history.state, "", url);
  }
  tell(before);
}

/** Ask something else, leaving the open picture. */
export const ask = (q, options) => set({ q, image: null }, options);
export const reset = () => set({ ...EMPTY, folded: current.folded });

export function subscribe(listener) {
  listeners.add(listener);
}

function tell(before) {
  for (const listener of listeners) listener(current, before);
}

addEventListener("popstate", () => {
  const before = current;
  current = read(location.search);
  tell(before);
});

const groups = () => current.folded.split(",").filter(Boolean);
export const isFolded = (name) => groups().includes(name);

/** Fold or unfold a group of facets; not a step of its own in the history. */
export function fold(name, shut) {
  const others = groups().filter((group) => group !== name);
  set({ folded: (shut ? [...others, name] : others).join(",") }, { push: false });
}
