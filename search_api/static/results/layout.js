// Rows of pictures that fill the width, every picture whole and in its own shape.

const NARROWEST = 0.4;
const WIDEST = 4;
// A last row of few pictures is not blown up beyond this share of the wanted height.
const STRETCH = 1.25;

/** Width to height of an image as it is drawn; extreme strips are cut to what can still be seen. */
export const ratio = (image) => Math.min(WIDEST, Math.max(NARROWEST, (image.width || 1) / (image.height || 1)));

/**
 * Rows of about `wanted` height over pictures of these ratios: `{from, to, top, height}` with `to` exclusive.
 * Each row breaks where its height comes nearest to what is wanted.
 */
export function justify(ratios, { width, wanted, gap }) {
  const rows = [];
  let from = 0;
  let sum = 0;
  let top = 0;
  const close = (to, height) => {
    rows.push({ from, to, top, height });
    [from, top] = [to, top + height + gap];
  };
  for (const [at, next] of ratios.entries()) {
    const without = heightOf(sum, at - from, width, gap);
    sum += next;
    const height = heightOf(sum, at + 1 - from, width, gap);
    if (height > wanted) continue;
    if (at > from && without - wanted < wanted - height) {
      close(at, without);
      sum = next;
      if (heightOf(sum, 1, width, gap) > wanted) continue;
    }
    close(at + 1, heightOf(sum, at + 1 - from, width, gap));
    sum = 0;
  }
  if (from < ratios.length) close(ratios.length, Math.min(heightOf(sum, ratios.length - from, width, gap), wanted * STRETCH));
  return rows;
}

const heightOf = (sum, pictures, width, gap) => (pictures ? (width - gap * (pictures - 1)) / sum : Infinity);

/** The first row that ends below `y`. */
export function rowAt(rows, y) {
  let low = 0;
  let high = rows.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle].top + rows[middle].height < y) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The row of one picture. */
export const rowOf = (rows, index) => rows.findIndex((row) => index < row.to);

/** Where the pictures of a row stand: `{index, left, width}`. */
export function places(row, ratios, gap) {
  let left = 0;
  const found = [];
  for (let index = row.from; index < row.to; index += 1) {
    const width = ratios[index] * row.height;
    found.push({ index, left, width });
    left += width + gap;
  }
  return found;
}
