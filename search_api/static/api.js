// Talking to the server.

import * as examples from "./examples.js";

/** What the server refused, and why. */
export class Refused extends Error {
  constructor(problem) {
    super(problem.detail ?? problem.title ?? "The server gave no reason.");
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

async function call(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw unreachable();
  }
  if (response.ok) return response.status === 202 && !response.headers.get("content-type") ? null : response.json();
  throw new Refused(await response.json().catch(() => ({ status: response.status })));
}

const json = (method, body) => ({ method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

export async function search(state, { limit = 60, offset = 0, signal } = {}) {
  const { text, like, all, any, none, min } = state;
  if (!state.drop.length) {
    const body = { text, like, tags: { all, any, none, min_confidence: min }, limit, offset };
    return call("/v1/search", { ...json("POST", body), signal });
  }
  const form = new FormData();
  for (const [name, values] of Object.entries({ tag: all, any, not: none, like })) {
    for (const value of values) form.append(name, value);
  }
  for (const [name, value] of Object.entries({ text, min_confidence: min, limit, offset })) form.append(name, value);
  for (const key of state.drop) form.append("file", await examples.file(key));
  return call("/v1/search/image", { method: "POST", body: form, signal });
}

export const image = (id, signal) => call(`/v1/images/${id}`, { signal });
export const tags = (prefix, limit, signal) =>
  call(`/v1/tags?${new URLSearchParams({ prefix, limit })}`, { signal }).then((found) => found.tags);
export const stats = () => call("/v1/stats");
export const job = (id) => call(`/v1/jobs/${id}`);
export const removeImage = (id) => call(`/v1/images/${id}`, { method: "DELETE" });
export const stateTag = (id, name, shown) =>
  call(`/v1/images/${id}/tags/${encodeURIComponent(name)}`, { method: shown ? "PUT" : "DELETE" });
export const writeCaption = (id, text) => call(`/v1/images/${id}/caption`, json("PUT", { text }));

/** Send files in one request; `onBytes` hears how many bytes of the whole have left. */
export function upload(files, onBytes) {
  const form = new FormData();
  for (const file of files) form.append("file", file, file.name);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/v1/images");
    request.responseType = "json";
    request.upload.onprogress = (event) => onBytes(event.loaded);
    request.onload = () => (request.status === 202 ? resolve(request.response) : reject(new Refused(request.response ?? { status: request.status })));
    request.onerror = () => reject(unreachable());
    request.send(form);
  });
}
