// The keys of the query language, as the server explains them.

import * as api from "../page/api.js";

let known = null;

/** Every key: `{key, help, examples, choices}`; asked for once, none while the server does not answer. */
export async function keys() {
  known ??= api.keys().catch(() => { known = null; return []; });
  return known;
}

/** A few questions to begin with. */
export const EXAMPLES = [
  ["a dog in deep snow", "words: ranked by meaning"],
  ["tag:dog -tag:grass", "shows a dog, no grass"],
  ["dog:>=0.8", "a dog, surely"],
  ["(cat or dog) taken:2024", "either, taken in 2024"],
  ['like:17 text:"in red"^0.5', "like image 17, somewhat red"],
  ["tagcount:0", "nothing recognised yet"],
];
