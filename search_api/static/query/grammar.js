// The keys of the query language, with what each asks and a few values to choose from.

export const KEYS = [
  { key: "tag", asks: "shows this tag", example: "tag:dog" },
  { key: "like", asks: "resembles an image", example: "like:17" },
  { key: "text", asks: "words with a weight", example: 'text:"in red"^0.5' },
  { key: "taken", asks: "when it was taken", example: "taken:2024..2025" },
  { key: "added", asks: "when it came here", example: "added:7d", values: ["today", "7d", "30d"] },
  { key: "source", asks: "who described it", example: "source:human", values: ["human", "model", "file"] },
  { key: "format", asks: "the file's format", example: "format:jpeg,png", values: ["jpeg", "png", "webp", "gif", "tiff", "heic", "avif", "bmp"] },
  { key: "collection", asks: "is in this collection", example: "collection:calendar" },
  { key: "has", asks: "something is known", example: "has:caption", values: ["caption", "tag", "title", "description", "place", "taken", "sku", "location", "collection"] },
  { key: "width", asks: "pixels across", example: "width:>2000" },
  { key: "height", asks: "pixels down", example: "height:>=1080" },
  { key: "ratio", asks: "width to height", example: "ratio:16:9" },
  { key: "size", asks: "bytes of the file", example: "size:>2MB" },
  { key: "tagcount", asks: "how many tags", example: "tagcount:0" },
  { key: "path", asks: "where the file lies", example: "path:holiday" },
  { key: "origin", asks: "how it came here", example: "origin:upload", values: ["path", "url", "upload"] },
  { key: "sku", asks: "the number it has elsewhere", example: "sku:A-1042" },
  { key: "order", asks: "sorted by", example: "order:taken", values: ["relevance", "taken", "taken_asc", "added", "added_asc", "size"] },
  { key: "id", asks: "the image's number", example: "id:17" },
];

/** What the help says of the language, shortest first. */
export const EXAMPLES = [
  ["a dog in deep snow", "words: ranked by meaning"],
  ["tag:dog -tag:grass", "shows a dog, no grass"],
  ["dog:>=0.8", "a dog, surely"],
  ["(cat or dog) taken:2024", "either, taken in 2024"],
  ['like:17 text:"in red"^0.5', "like image 17, somewhat red"],
  ["tagcount:0", "nothing recognised yet"],
];
