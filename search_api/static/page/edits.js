// Edits of tags, each told in a remark that offers to take it back.

import * as api from "./api.js";
import { count } from "./format.js";
import { toast } from "./toast.js";

const SAYS = { add: ["is on", "was on"], remove: ["is off", "was off"], clear: ["taken back for", "had no word of yours on"] };

/** Change one tag of some images; whether it was done. `after` runs then, and again when it is taken back. */
export async function editTag(images, how, name, after) {
  try {
    const made = await api.edit(images, { [how]: [name] });
    const [now, already] = SAYS[how];
    if (!made.edit) toast(`“${name}” ${already} ${count(images.length, "picture")} already.`);
    else toast(`“${name}” ${now} ${count(made.changed, "picture")}.`, { label: "Undo", run: () => takeBack(made.edit.id, after) });
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
