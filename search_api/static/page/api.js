// Talking to the server.

/** The server's words; where they name a command, what to do on this page instead. */
function inWords({ name, tag, suggestions = [], detail, title }) {
  if (name !== "unknown_tag" || !tag) return detail ?? title ?? "The server gave no reason.";
  const meant = suggestions.length ? ` Did you mean ${suggestions.join(", ")}?` : "";
  return `No tag is called “${tag}”.${meant} The search box lists tags as you type their first letters.`;
}

/** What the server refused, and why. */
export class Refused extends Error {
  constructor(problem) {
    super(inWords(problem));
    this.title = problem.title ?? "The server could not answer";
    this.name = problem.name ?? "unknown";
    this.status = problem.status ?? 0;
    this.problem = problem;
  }
}

const unreachable = () => new Refused({
  name: "unreachable",
  title: "The server does not answer",
  detail: "Is `sightline serve` still running in its terminal? Start it again, then try once more.",
});

/** The session's token, which writes carry: other sites cannot read it. There is none where no key is needed. */
const token = () => document.cookie.match(/(?:^|; )sightline_csrf=([^;]*)/)?.[1];
const TOKEN = "X-CSRF-Token";

/** Nobody is signed in (any more): to the door, and back here afterwards. */
function signInFirst() {
  location.replace(address("/login", { next: location.pathname + location.search }));
  return new Promise(() => {}); // the page is being left
}

async function ask(path, options = {}) {
  const headers = { ...options.headers, ...(token() ? { [TOKEN]: token() } : {}) };
  try {
    return await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw unreachable();
  }
}

async function call(path, options) {
  const response = await ask(path, options);
  if (response.status === 401) return signInFirst();
  return told(response);
}

async function told(response) {
  if (response.ok) return response.headers.get("content-type") ? response.json() : null;
  throw new Refused(await response.json().catch(() => ({ status: response.status })));
}

const json = (method, body) => ({ method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
const address = (path, query) => `${path}?${new URLSearchParams(query)}`;

// The door itself answers 401.
export const session = () => ask("/v1/session").then(told);
export const signIn = (key) => ask("/v1/session", json("POST", { key })).then(told);
export const signOut = () => ask("/v1/session", { method: "DELETE" }).then(told);

export const search = (body, signal) => call("/v1/search", { ...json("POST", body), signal });
export const complete = (prefix, limit, signal) => call(address("/v1/tags/complete", { prefix, limit }), { signal }).then((found) => found.tags);
export const values = (key, prefix, limit, signal) => call(address("/v1/query/values", { key, prefix, limit }), { signal }).then((found) => found.values);
export const image = (id, signal) => call(`/v1/images/${id}`, { signal });
export const heat = (id, name, signal) => call(`/v1/images/${id}/tags/${encodeURIComponent(name)}/heat`, { signal });
export const keys = () => call("/v1/query/keys").then((found) => found.keys);
export const stats = () => call("/v1/stats");
export const jobs = (limit) => call(`/v1/jobs?limit=${limit}`);
export const job = (id) => call(`/v1/jobs/${id}`);
export const removeImage = (id) => call(`/v1/images/${id}`, { method: "DELETE" });
export const writeCaption = (id, text) => call(`/v1/images/${id}/caption`, json("PUT", { text }));
export const takeBackCaption = (id) => call(`/v1/images/${id}/caption`, { method: "DELETE" });

export function example(file) {
  const form = new FormData();
  form.append("file", file, file.name || "picture");
  return call("/v1/examples", { method: "POST", body: form }).then((made) => made.example);
}

/** Send files in one request; `onBytes` hears how many bytes of the whole have left. */
export function upload(files, onBytes) {
  const form = new FormData();
  for (const file of files) form.append("file", file, file.name);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/v1/images");
    request.responseType = "json";
    request.upload.onprogress = (event) => onBytes(event.loaded);
    if (token()) request.setRequestHeader(TOKEN, token());
    request.onload = () => (request.status === 401 ? signInFirst() : request.status === 202 ? resolve(request.response) : reject(new Refused(request.response ?? { status: request.status })));
    request.onerror = () => reject(unreachable());
    request.send(form);
  });
}

/** Say of images which tags they show (`add`), do not show (`remove`), or take one's own word back (`clear`). */
export const edit = (images, change) => call("/v1/edits", json("POST", { images, ...change }));
export const edits = (limit, before) => call(address("/v1/edits", before ? { limit, before } : { limit })).then((found) => found.edits);
export const undo = (id) => call(`/v1/edits/${id}/undo`, { method: "POST" });

export const savedSearches = () => call("/v1/searches").then((found) => found.searches);
export const saveSearch = (name, query) => call("/v1/searches", json("POST", { name, query }));
export const forgetSearch = (id) => call(`/v1/searches/${id}`, { method: "DELETE" });

export const collections = () => call("/v1/collections").then((found) => found.collections);
export const createCollection = (name) => call("/v1/collections", json("POST", { name }));
export const collect = (id, images) => call(`/v1/collections/${id}/images`, json("POST", { images }));

/** Ids of everything a query finds, in its order. */
export async function foundIds(q, all) {
  const response = await ask(exportAddress(q, all, "csv", ["id"]));
  if (response.status === 401) return signInFirst();
  if (!response.ok) return told(response);
  return (await response.text()).trim().split(/\s+/).slice(1).map(Number);
}

export const exportAddress = (q, all, format, columns) => address("/v1/export", { q, ...(all ? { all: "true" } : {}), format, ...(columns.length ? { columns: columns.join(",") } : {}) });
