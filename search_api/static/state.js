// What is being asked, kept in the address: back, forward, reload and a copied link all work.

const EMPTY = { text: "", all: [], any: [], none: [], min: 0, like: [], drop: [], image: null };
const listeners = new Set();
let current = read(location.search);

export function read(search) {
  const params = new URLSearchParams(search);
  const ids = (name) => params.getAll(name).map(Number).filter((id) => Number.isSafeInteger(id) && id > 0);
  const min = Number(params.get("min"));
  return {
    text: params.get("q") ?? "",
    all: params.getAll("tag"),
    any: params.getAll("any"),
    none: params.getAll("not"),
    min: min >= 0 && min <= 1 ? min : 0,
    like: ids("like"),
    drop: params.getAll("drop"),
    image: ids("image")[0] ?? null,
  };
}

export function address(state) {
  const params = new URLSearchParams();
  if (state.text.trim()) params.set("q", state.text.trim());
  for (const [name, values] of [["tag", state.all], ["any", state.any], ["not", state.none], ["like", state.like], ["drop", state.drop]]) {
    for (const value of values) params.append(name, value);
  }
  if (state.min > 0) params.set("min", state.min);
  if (state.image) params.set("image", state.image);
  const text = params.toString();
  return text ? `/?${text}` : "/";
}

export const get = () => current;
export const question = (state) => address({ ...state, image: null });
export const filtered = (state) => state.all.length + state.any.length + state.none.length > 0;
export const ranked = (state) => Boolean(state.text.trim() || state.like.length || state.drop.length);
export const asked = (state) => filtered(state) || ranked(state);

/** Change the state; `push` makes a step one can go back from. */
export function set(change, { push = true } = {}) {
  const before = current;
  current = { ...current, ...change };
  if (!filtered(current)) current.min = 0;
  const url = address(current);
  if (url !== address(before)) history[push ? "pushState" : "replaceState"](null, "", url);
  tell(before);
}

export const reset = () => set({ ...EMPTY });

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

/** Where a tag is in the filter: "all", "any", "none" or null. */
export const place = (tag) => ["all", "any", "none"].find((name) => current[name].includes(tag)) ?? null;

/** Put a tag somewhere in the filter, or take it out with `null`. */
export function putTag(tag, where) {
  const change = {};
  for (const name of ["all", "any", "none"]) {
    const without = current[name].filter((other) => other !== tag);
    change[name] = name === where ? [...without, tag] : without;
  }
  set(change);
}
