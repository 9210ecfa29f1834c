// Edits of tags, each told in a remark that offers to take it back.

import * as api from "./api.js";
import { count } from "./format.js";
import { toast } from "./toast.js";

const SAYS = { add: ["is on", "was on"], remove: ["is off", "was off"], clear: ["taken back for", "had no word of yours on"] };
const OF_SEVERAL = { add: ["are on", "were on"], remove: ["are off", "were off"], clear: SAYS.clear };

/** Change one or more tags of some images; whether it was done. `after` runs then, and again when it is taken back. */
export async function editTags(images, how, names, after) {
  try {
    const made = await api.edit(images, { [how]: names });
    const [now, already] = (names.length > 1 ? OF_SEVERAL : SAYS)[how];
    const named = names.map((name) => `“${name}”`).join(", ");
    if (!made.edit) toast(`${named} ${already} ${count(images.length, "picture")} already.`);
    else toast(`${named} ${now} ${count(made.changed, "picture")}.`, { label: "Undo", run: () => takeBack(made.edit.id, after) });
    await after();
    return true;
  } catch (error) {
    toast(error.message);
    return false;
  }
}

/** Take an edit back; `after` runs when that is done. */
export async function takeBack(id, after) {
  try {
    const { restored } = await api.undo(id);
    toast(restored === 1 ? "Taken back." : `Taken back: ${count(restored, "statement")}.`);
    await after();
  } catch (error) {
    toast(error.message);
  }
}
