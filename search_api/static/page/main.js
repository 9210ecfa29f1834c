// Wires the parts of the page together.

import { initBox } from "../box/box.js";
import { initChips } from "../box/chips.js";
import { initDrop } from "../box/drop.js";
import { initSlip } from "../box/slip.js";
import { initDetail } from "../image/detail.js";
import { initBulk } from "../results/bulk.js";
import { initExporting } from "../results/exporting.js";
import { initGrid } from "../results/grid.js";
import { initGridKeys } from "../results/grid_keys.js";
import { initMeant } from "../results/meant.js";
import { initNotices } from "../results/notices.js";
import { initPast } from "../results/past.js";
import { initPlace } from "../results/place.js";
import { initRail } from "../results/rail.js";
import { ask, initResults } from "../results/results.js";
import { initSaved } from "../results/saved.js";
import { initSelection } from "../results/selection.js";
import { initStale } from "../results/stale.js";
import { initSummary } from "../results/summary.js";
import { initQueue } from "../uploads/queue.js";
import { initUploads } from "../uploads/uploads.js";
import { $ } from "./dom.js";
import { remembered } from "./history.js";
import { drawIcons } from "./icons.js";
import { initKeys } from "./keys.js";
import { initSession } from "./session.js";
import * as state from "./state.js";
import { initTheme } from "./theme.js";

drawIcons();
document.querySelector(".brand").addEventListener("click", (event) => {
  if (event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  state.reset();
  scrollTo({ top: 0 });
  $("text").focus();
});
for (const init of [
  initTheme, initSlip, initBox, initChips, initSelection, initGrid, initGridKeys, initPlace, initNotices, initMeant, initSummary, initStale,
  initRail, initSaved, initPast, initExporting, initBulk, initResults, initDetail, initDrop, initUploads, initQueue, initKeys, initSession,
]) init();
ask({ wanted: remembered() });
