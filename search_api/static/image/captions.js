// What a picture is said to show, in sentences, and one's own sentence.

import * as api from "../page/api.js";
import { h, marked } from "../page/dom.js";
import { icon } from "../page/icons.js";
import { toast } from "../page/toast.js";
import { says } from "./says.js";

export function captions(image, hit, changed) {
  const own = image.captions.find((caption) => caption.source.kind === "human");
  const form = writer(image, own, changed);
  const label = own ? "Change your caption" : "Write a caption";
  const opener = h("button", { type: "button", className: "quiet", "data-focus": "pen", "aria-label": label, title: label, "aria-expanded": "false", onclick: () => {
    form.hidden = !form.hidden;
    opener.setAttribute("aria-expanded", String(!form.hidden));
    if (!form.hidden) form.querySelector("textarea").focus();
  } }, icon("pen"));
  return h("section", { className: "captions", "aria-label": "Captions" },
    ...image.captions.map((caption, index) => h("p", { className: index ? "caption other" : "caption" }, ...words(caption, hit), " ", says(caption.source))),
    image.captions.length ? null : h("p", { className: "none" }, "No caption yet."),
    opener, form);
}

/** Words the search matched are marked in the caption they stand in. */
function words(caption, hit) {
  const why = hit?.why?.caption;
  return why?.text === caption.text ? marked(caption.text, why.spans) : [caption.text];
}

function writer(image, own, changed) {
  const field = h("textarea", { rows: 3, maxLength: 2000, "aria-label": "Your caption", value: own?.text ?? image.captions[0]?.text ?? "" });
  const form = h("form", { className: "write", hidden: true, onsubmit: async (event) => {
    event.preventDefault();
    if (!field.value.trim()) return;
    try {
      await api.writeCaption(image.id, field.value.trim());
      toast("Your caption is shown first and searched at once.");
      await changed();
    } catch (error) {
      toast(error.message);
    }
  } }, field, h("button", { type: "submit", className: "button small" }, "Save"));
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
    if (event.key === "Escape") { event.stopPropagation(); event.preventDefault(); form.hidden = true; form.previousElementSibling.focus(); }
  });
  return form;
}
