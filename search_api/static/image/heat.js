// A coarse heat map drawn over a picture: the warmer, the more the tagger looked there.

const SIDE = 256;
// From nothing to most: see-through blue, orange, pale yellow, as in thermal pictures.
const STOPS = [[0, [20, 24, 90, 0]], [0.3, [70, 30, 150, 60]], [0.55, [215, 60, 90, 140]], [0.8, [250, 150, 40, 185]], [1, [255, 244, 170, 215]]];

/** Draw `values` (rows of numbers from 0 to 1) over the whole of `canvas`. */
export function drawHeat(canvas, values) {
  if (!canvas) return;
  const rows = values.length;
  const columns = values[0].length;
  [canvas.width, canvas.height] = [SIDE, SIDE];
  const context = canvas.getContext("2d");
  const drawn = context.createImageData(SIDE, SIDE);
  for (let y = 0; y < SIDE; y += 1) {
    for (let x = 0; x < SIDE; x += 1) {
      const share = between(values, (y + 0.5) / SIDE * rows - 0.5, (x + 0.5) / SIDE * columns - 0.5);
      drawn.data.set(colour(share), (y * SIDE + x) * 4);
    }
  }
  context.putImageData(drawn, 0, 0);
  canvas.classList.add("here");
}

/** Between the four patches around a point, in proportion to their nearness. */
function between(values, y, x) {
  const inside = (value, size) => Math.min(size - 1, Math.max(0, value));
  const [top, left] = [Math.floor(y), Math.floor(x)];
  const at = (row, column) => values[inside(row, values.length)][inside(column, values[0].length)];
  const [down, right] = [y - top, x - left];
  return (at(top, left) * (1 - right) + at(top, left + 1) * right) * (1 - down) + (at(top + 1, left) * (1 - right) + at(top + 1, left + 1) * right) * down;
}

function colour(share) {
  const upper = Math.max(1, STOPS.findIndex(([at]) => at >= share));
  const [from, low] = STOPS[upper - 1];
  const [to, high] = STOPS[upper];
  const part = (share - from) / (to - from);
  return low.map((value, index) => value + (high[index] - value) * part);
}
