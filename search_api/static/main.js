// Wires the parts of the page together.

import { initChips } from "./chips.js";
import { initDetail } from "./detail.js";
import { $, drawIcons } from "./dom.js";
import { initDrop } from "./drop.js";
import { initGrid } from "./grid.js";
import { initKeys } from "./keys.js";
import { initQueue } from "./queue.js";
import { initSearchBox } from "./searchbox.js";
import * as state from "./state.js";
import { initUploads } from "./uploads.js";

drawIcons();
document.querySelector(".brand").addEventListener("click", (event) => {
  if (event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  state.reset();
  $("text").focus();
});
for (const init of [initSearchBox, initChips, initDetail, initGrid, initDrop, initUploads, initQueue, initKeys]) init();
