// The door: a key becomes a session, and one goes on to where one was going.

import * as api from "./api.js";
import { $ } from "./dom.js";
import { icon } from "./icons.js";
import { initTheme } from "./theme.js";

/** Where to go on: an address of this server's own, never the door itself nor another site. */
function destination() {
  const wanted = new URLSearchParams(location.search).get("next") ?? "/";
  try {
    const url = new URL(wanted, location.origin);
    const own = url.origin === location.origin && url.pathname !== "/login";
    return own ? url.pathname + url.search : "/";
  } catch {
    return "/";
  }
}

const enter = () => location.replace(destination());

function show(visible) {
  $("key").type = visible ? "text" : "password";
  $("show").replaceChildren(icon(visible ? "hide" : "show"));
  $("show").setAttribute("aria-pressed", String(visible));
  $("show").setAttribute("aria-label", visible ? "Hide the key" : "Show the key");
  $("show").title = visible ? "Hide the key" : "Show the key";
}

function say(text) {
  $("wrong").textContent = text ?? "";
  $("wrong").hidden = !text;
  $("key").setAttribute("aria-invalid", String(Boolean(text)));
}

const words = (error) => ({
  not_signed_in: "This key opens nothing here. Is it complete, and of this library? It may have been revoked.",
  too_many_requests: `Too many wrong keys from here. ${error.message.split(". ").at(-1)}`,
})[error.name] ?? error.message;

async function submit(event) {
  event.preventDefault();
  say(null);
  $("enter").disabled = true;
  try {
    await api.signIn($("key").value.trim());
    enter();
  } catch (error) {
    say(words(error));
    $("enter").disabled = false;
    $("door").classList.remove("refused");
    requestAnimationFrame(() => $("door").classList.add("refused"));
    $("key").select();
    $("key").focus();
  }
}

initTheme();
show(false);
$("show").addEventListener("click", () => { show($("key").type === "password"); $("key").focus(); });
$("key").addEventListener("input", () => say(null));
$("door").addEventListener("submit", submit);
// Whoever comes from a link elsewhere brings no cookie on the way here, and is signed in all the same.
api.session().then(enter).catch(() => {});
