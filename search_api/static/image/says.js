// Who says something of a picture, and how sure that is.

import { h } from "../page/dom.js";
import { percent } from "../page/format.js";

/** A person, the file itself, or a model at a version. */
export function says(source) {
  if (source.kind === "human") return h("span", { className: "says human" }, "you");
  if (source.kind === "file") return h("span", { className: "says file", title: "the file's own metadata" }, "the file");
  return h("span", { className: "says", title: `model ${source.name}, weights ${source.version}` }, `model ${source.name}`);
}

export const who = (source) => [source.kind, source.name, source.version].join("/");

/** A gauge from 0 to 1; a notch where the threshold lies, if there is one. */
export function gauge(confidence, threshold) {
  const style = { "--value": Math.max(0, Math.min(1, confidence)) };
  if (threshold !== null && threshold !== undefined) style["--threshold"] = threshold;
  return h("span", { className: threshold === null || threshold === undefined ? "gauge" : "gauge notched", style, "aria-hidden": "true" });
}

/** The same in words. */
export const sure = ({ confidence, threshold }) => (threshold === null || threshold === undefined ? percent(confidence) : `${percent(confidence)} sure, said from ${percent(threshold)}`);
