"use strict";

/* The gallery: what is searched, what was found last and before it, and how that is shown. */

const BATCH = 12;
/** Large pictures that are kept, the latest ones. */
const LARGE = 20;
const host = new Host();
const $ = (id) => document.getElementById(id);

/** The search shown now: {search, found} or {search, error}; before it, those to go back to. */
let now = null;
const before = [];
/** The rank (from 0) of the hit that is open, or -1. */
let opened = -1;
/** Counts searches: what arrives for an earlier one is dropped. */
let turn = 0;
/** Pictures by image_id: {small, large}, each {src} or {error}. */
const pictures = new Map();
/** The images with a large picture, the latest one last. */
const enlarged = new Set();

// ---- searching

async function run(search, keeps = true) {
  const mine = ++turn;
  busy(true);
  showQuery(search);
  let next;
  try {
    next = { search, found: foundIn(await host.tool(...callOf(search))) };
  } catch (error) {
    next = { search, error: error.message };
  }
  if (mine !== turn) return;
  if (keeps && now?.found) before.push(now);
  show(next);
}

function show(next) {
  now = next;
  opened = -1;
  busy(false);
  render();
}

function back() {
  turn += 1;
  show(before.pop());
}

/** Load small pictures of hits, some at a time, best first. */
async function load(hits) {
  const mine = turn;
  const missing = hits.filter((hit) => !pictures.get(hit.image_id)?.small);
  for (let at = 0; at < missing.length && mine === turn; at += BATCH) {
    const some = missing.slice(at, at + BATCH);
    const parts = await view(some.map((hit) => hit.image_id));
    some.forEach((hit, position) => keep(hit, "small", parts[position]));
  }
}

async function view(images) {
  try {
    return picturesIn(await host.tool(VIEW, { images, layout: "single" }));
  } catch (error) {
    return images.map(() => ({ error: error.message }));
  }
}

function keep(hit, size, picture) {
  const shown = picture ?? { error: "the host passed on no picture" };
  pictures.set(hit.image_id, { ...pictures.get(hit.image_id), [size]: shown });
  if (size === "large") enlarge(hit.image_id);
  for (const frame of document.querySelectorAll(`[data-${size}="${hit.image_id}"]`)) fill(frame, shown);
}

/** Note that a large picture is looked at, and let go of the one that was not for longest. */
function enlarge(image) {
  enlarged.delete(image);
  enlarged.add(image);
  if (enlarged.size <= LARGE) return;
  const [oldest] = enlarged;
  enlarged.delete(oldest);
  delete pictures.get(oldest).large;
}

// ---- showing

function render() {
  const { search, found, error } = now;
  showQuery(search);
  $("back").hidden = !before.length && opened < 0;
  $("more").hidden = true;
  if (error !== undefined) {
    tell("");
    const again = { name: "Try again", run: () => run(search, false) };
    $("stage").replaceChildren(notice("The search did not work", error, again));
  } else if (!found.hits.length) {
    tell("");
    $("stage").replaceChildren(nothing(search, found));
  } else if (opened >= 0) {
    showDetail();
  } else {
    showGrid();
  }
}

function showGrid() {
  const { search, found } = now;
  const cards = found.hits.map((hit, position) => {
    const made = card(hit, pictures.get(hit.image_id)?.small, {
      open: () => open(position),
      alike: () => run(like(search, hit.image_id)),
      locale: host.context.locale,
    });
    made.querySelector(".frame").dataset.small = hit.image_id;
    return made;
  });
  $("stage").replaceChildren(element("ul", { className: "grid", onkeydown: move }, ...cards));
  reach(0);
  const isFull = found.hits.length >= search.count;
  $("more").hidden = !isFull || search.count >= Math.min(MOST, found.searched_images);
  tell(summary(found));
  load(found.hits);
}

function summary({ hits, searched_images, total_images }) {
  const number = (count) => count.toLocaleString(host.context.locale);
  const among = searched_images === total_images ? number(total_images) : `${number(searched_images)} of ${number(total_images)}`;
  const words = `${hits.length === 1 ? "1 picture" : `${hits.length} pictures`}, best first, among ${among}`;
  return hits.every((hit) => hit.relevance === "weak") ? `${words}. None of them is a good match.` : words;
}

function nothing(search, found) {
  if (!found.total_images) {
    return notice("No pictures yet", "Nothing is indexed: ask your assistant to index your pictures.");
  }
  const clear = filtersIn(search) && { name: "Clear filters", run: () => run(cleared(search)) };
  const text = found.searched_images
    ? `Nothing among ${found.searched_images} pictures is relevant enough.`
    : "No picture passes the filters.";
  return notice("No picture found", text, clear);
}

function open(position) {
  opened = position;
  render();
  $("stage").querySelector(".about button")?.focus({ preventScroll: true });
}

function close() {
  const position = opened;
  opened = -1;
  render();
  reach(position, true);
}

function showDetail() {
  const { search, found } = now;
  const hit = found.hits[opened];
  const known = pictures.get(hit.image_id) ?? {};
  const made = detail(hit, {
    close,
    step: (by) => open(opened + by),
    alike: (text) => run(like(search, hit.image_id, text)),
    hasPrevious: opened > 0,
    hasNext: opened < found.hits.length - 1,
    locale: host.context.locale,
  });
  const frame = made.querySelector(".frame");
  fill(frame, known.large ?? known.small);
  frame.dataset.large = hit.image_id;
  $("stage").replaceChildren(made);
  tell(`Picture ${opened + 1} of ${found.hits.length}`);
  if (known.large) enlarge(hit.image_id);
  else view([hit.image_id]).then(([picture]) => keep(hit, "large", picture));
  const looks = `In the gallery the user looks at hit ${hit.rank}: ${hit.path} (image_id ${hit.image_id}).`;
  host.request("ui/update-model-context", { content: [{ type: "text", text: looks }] }).catch(() => {});
}

function showQuery(search) {
  const hasImage = search.image !== undefined;
  $("text").value = search.text;
  $("text").placeholder = hasImage ? "at night, in snow … (or nothing)" : "Describe a picture";
  $("reference").hidden = !hasImage;
  if (hasImage) showReference(search.image);
  $("from").value = (search.filters.taken_after ?? "").slice(0, 10);
  $("to").value = lastDay(search.filters.taken_before);
  choose("shape", search.filters.orientation ?? "");
  choose("relevance", search.relevance);
  $("count").textContent = filtersIn(search);
  $("count").hidden = !filtersIn(search);
  const chips = otherFilters(search).map(([name, words]) =>
    element("button", { type: "button", className: "chip", title: "Leave this filter out", onclick: () => run(withFilter(search, name, "")) }, words, icon("close")),
  );
  $("others").replaceChildren(...chips);
}

function showReference(image) {
  const frame = $("reference-picture");
  frame.dataset.small = image;
  const isShown = image.startsWith("data:");
  fill(frame, isShown ? { src: image } : pictures.get(image)?.small);
  if (isShown || pictures.get(image)?.small) return;
  if (image.length > 4096) fill(frame, { error: "a picture from the conversation" });
  else view([image]).then(([picture]) => keep({ image_id: image }, "small", picture));
}

function choose(name, value) {
  for (const input of document.getElementsByName(name)) input.checked = input.value === value;
}

function tell(text) {
  $("told").textContent = text;
}

function busy(is) {
  $("bar").hidden = !is;
  $("stage").setAttribute("aria-busy", is);
  if (is && !now) $("stage").replaceChildren(skeleton());
  if (is) tell("Searching …");
}
