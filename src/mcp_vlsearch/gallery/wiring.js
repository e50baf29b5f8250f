"use strict";

/* What people do, by pointer and keys, and what the host says. */

// ---- people

function searched() {
  const search = now?.search ?? searchOf({});
  const text = $("text").value.trim();
  if (!text && search.image === undefined) return $("text").focus();
  return run(withText(search, text));
}

function filtered(change) {
  const search = change(now?.search ?? searchOf({}));
  if (search.text || search.image !== undefined) return run(search);
  now = { ...now, search };
  return showQuery(search);
}

function cleared(search) {
  return { ...search, filters: {}, relevance: "any" };
}

/** Let one card be reached by the tab key, and the others from it by arrows. */
function reach(position, focuses = false) {
  const cards = [...document.querySelectorAll(".grid .open")];
  for (const button of cards) button.tabIndex = -1;
  for (const button of document.querySelectorAll(".grid .alike")) button.tabIndex = -1;
  const chosen = cards[position];
  if (!chosen) return;
  chosen.tabIndex = 0;
  chosen.nextElementSibling.tabIndex = 0;
  if (focuses) chosen.focus();
}

function move(event) {
  const cards = [...document.querySelectorAll(".grid .open")];
  const at = cards.indexOf(event.target.closest(".card")?.querySelector(".open"));
  const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: cards.length - 1, ArrowUp: across(cards, at, -1), ArrowDown: across(cards, at, 1) }[event.key];
  if (to === undefined || !cards[to]) return;
  event.preventDefault();
  reach(to, true);
}

/** The nearest card in the row above or below, by where the cards' middles are. */
function across(cards, at, by) {
  const place = (card) => card.getBoundingClientRect();
  const from = place(cards[at]);
  const middle = from.left + from.width / 2;
  const beyond = cards.filter((card) => (place(card).top - from.top) * by > 1);
  const row = beyond.length && place(by > 0 ? beyond[0] : beyond.at(-1)).top;
  const distance = (card) => Math.abs(place(card).left + place(card).width / 2 - middle);
  const [nearest] = beyond.filter((card) => place(card).top === row).sort((a, b) => distance(a) - distance(b));
  return cards.indexOf(nearest);
}

document.addEventListener("keydown", (event) => {
  const types = event.target.matches?.("input[type=text], input[type=date]");
  if (event.key === "Escape" && opened >= 0) close();
  else if (event.key === "/" && !types) {
    event.preventDefault();
    $("text").select();
  } else if (opened >= 0 && !types) {
    const to = opened + { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (now.found.hits[to]) open(to);
  }
});

$("go").addEventListener("click", searched);
// A form would not do: hosts' frames may forbid forms.
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.isComposing) searched();
});
$("drop").addEventListener("click", () => {
  const { image, ...search } = now.search;
  if (search.text) run(search);
  else showQuery((now = { ...now, search }).search);
});
$("toggle").addEventListener("click", () => {
  const hides = !$("filters").hidden;
  $("filters").hidden = hides;
  $("toggle").setAttribute("aria-expanded", !hides);
});
$("from").addEventListener("change", () => filtered((s) => withFilter(s, "taken_after", $("from").value)));
$("to").addEventListener("change", () => filtered((s) => withFilter(s, "taken_before", dayAfter($("to").value))));
$("shape").addEventListener("change", (event) => filtered((s) => withFilter(s, "orientation", event.target.value)));
$("relevance").addEventListener("change", (event) => filtered((s) => ({ ...s, relevance: event.target.value })));
$("clear").addEventListener("click", () => filtered(cleared));
$("back").addEventListener("click", () => (opened >= 0 ? close() : back()));
$("more").addEventListener("click", () => run({ ...now.search, count: Math.min(MOST, now.search.count + STEP) }, false));
$("expand").addEventListener("click", () => {
  const mode = host.context.displayMode === "fullscreen" ? "inline" : "fullscreen";
  host.request("ui/request-display-mode", { mode }).catch(() => {});
});

// ---- the host

const dark = window.matchMedia("(prefers-color-scheme: dark)");

function dress({ theme, styles, availableDisplayModes, displayMode }) {
  const root = document.documentElement;
  root.dataset.theme = theme ?? (dark.matches ? "dark" : "light");
  for (const [name, value] of Object.entries(styles?.variables ?? {})) {
    if (name.startsWith("--") && value) root.style.setProperty(name, value);
  }
  $("expand").hidden = !availableDisplayModes?.includes("fullscreen");
  root.classList.toggle("fullscreen", displayMode === "fullscreen");
}

let asked = searchOf({});
host.on("context", dress);
host.on("ui/notifications/tool-input", ({ arguments: given }) => {
  asked = searchOf(given ?? {});
  if (!now) showQuery(asked);
});
host.on("ui/notifications/tool-result", (result) => {
  turn += 1;
  try {
    if (result.isError) throw new Error(textOf(result));
    const found = foundIn(result);
    if (asked.image === undefined && !asked.text) asked.text = found.queries[0] ?? "";
    show({ search: asked, found });
  } catch (error) {
    show({ search: asked, error: error.message });
  }
});
host.on("ui/notifications/tool-cancelled", () => show({ search: asked, error: "It was cancelled." }));

dark.addEventListener("change", () => dress(host.context));
dress({});
busy(true);
host.connect().catch((error) => show({ search: asked, error: error.message }));
if (window.parent === window) show({ search: asked, error: "This page is shown by an MCP host." });
new ResizeObserver(() => {
  const { width, height } = document.documentElement.getBoundingClientRect();
  host.notify("ui/notifications/size-changed", { width: Math.ceil(width), height: Math.ceil(height) });
}).observe(document.documentElement);
