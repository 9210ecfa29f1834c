// What a picture is said to show, in sentences, and one's own sentence.

import * as api from "../page/api.js";
import { h, marked } from "../page/dom.js";
import { icon } from "../page/icons.js";
import { toast } from "../page/toast.js";
import { draftOf, forgetDraft, keepDraft } from "./drafts.js";
import { says } from "./says.js";

// Whether the field for one's own caption is open, at the picture that is open.
let desk = { id: null, open: false };

/** A picture comes up: its field is open if something was begun in it. */
export function arrive(id) {
  desk = { id, open: draftOf(id) !== null };
}

export function captions(image, hit, changed) {
  if (desk.id !== image.id) arrive(image.id);
  const own = image.captions.find((caption) => caption.source.kind === "human");
  const turn = (open) => {
    desk = { id: image.id, open };
    const inside = section.contains(document.activeElement);
    const anew = captions(image, hit, changed);
    section.replaceWith(anew);
    if (inside) anew.querySelector(open ? "textarea" : '[data-focus="pen"]').focus();
  };
  const section = h("section", { className: "captions", "aria-label": "Captions" },
    ...image.captions.map((caption, index) => h("p", { className: index ? "caption other" : "caption" }, ...words(caption, hit), " ", says(caption.source))),
    image.captions.length ? null : h("p", { className: "none" }, "No caption yet."),
    pens({ image, own, changed, turn }),
    desk.open ? writer({ image, own, changed, turn }) : null,
    begun({ image, changed, turn }));
  return section;
}

/** Words the search matched are marked in the caption they stand in. */
function words(caption, hit) {
  const why = hit?.why?.caption;
  return why?.text === caption.text ? marked(caption.text, why.spans) : [caption.text];
}

function pens({ image, own, changed, turn }) {
  const tool = (drawn, label, props) => h("button", { type: "button", className: "quiet", "aria-label": label, title: label, "data-focus": drawn, ...props }, icon(drawn));
  return h("div", { className: "pens", "data-needs": "tags.write" },
    tool("pen", own ? "Change your caption" : "Write a caption", { "aria-expanded": String(desk.open), onclick: () => turn(!desk.open) }),
    own ? tool("undo", "Take back your caption", { onclick: (event) => { event.currentTarget.previousElementSibling.focus(); takeBack(image.id, own.text, changed); } }) : null);
}

function writer({ image, own, changed, turn }) {
  const said = own?.text ?? image.captions[0]?.text ?? "";
  const field = h("textarea", { rows: 3, maxLength: 2000, "aria-label": "Your caption", "data-focus": "own-caption", value: draftOf(image.id) ?? said });
  const form = h("form", { className: "write", onsubmit: (event) => { event.preventDefault(); save(image.id, field.value.trim(), { changed, turn }); } },
    field, h("button", { type: "submit", className: "button small" }, "Save"));
  field.addEventListener("input", () => {
    if (field.value === said) forgetDraft(image.id);
    else keepDraft(image.id, field.value);
    form.nextElementSibling.hidden = draftOf(image.id) === null;
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
    if (event.key === "Escape") { event.stopPropagation(); event.preventDefault(); turn(false); }
  });
  return form;
}

/** Said of what is written and not saved, whether or not its field is open. */
function begun({ image, changed, turn }) {
  const discard = () => {
    const text = draftOf(image.id);
    forgetDraft(image.id);
    turn(false);
    toast("What you had begun is discarded.", { label: "Undo", run: () => { keepDraft(image.id, text); changed(); } });
  };
  const act = (label, run) => h("button", { type: "button", className: "link", "data-focus": label, onclick: run }, label);
  return h("p", { className: "begun", hidden: draftOf(image.id) === null }, h("span", {}, "Your caption is not saved yet."),
    desk.open ? null : act("Go on writing", () => turn(true)), act("Discard", discard));
}

async function save(id, text, { changed, turn }) {
  if (!text) return toast("A caption needs words.");
  try {
    await api.writeCaption(id, text);
    toast("Your caption is shown first and searched at once.");
    // What was typed meanwhile is not saved.
    if ((draftOf(id)?.trim() ?? text) === text) {
      forgetDraft(id);
      if (desk.id === id) turn(false);
    }
    await changed();
  } catch (error) {
    toast(error.message);
  }
  return undefined;
}

async function takeBack(id, text, changed) {
  try {
    await api.takeBackCaption(id);
    toast("Your caption is taken back.", { label: "Undo", run: () => restore(id, text, changed) });
    await changed();
  } catch (error) {
    toast(error.message);
  }
}

async function restore(id, text, changed) {
  try {
    await api.writeCaption(id, text);
    toast("It is your caption again.");
    await changed();
  } catch (error) {
    toast(error.message);
  }
}
