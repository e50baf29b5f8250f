"use strict";

/* What is shown: each function makes an element, and knows nothing of searches that go on. */

const RELEVANCE = { strong: "Strong match", likely: "Likely match", weak: "Weak match" };

/** An element with properties, listeners (on…) and children. */
function element(tag, given = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function icon(name) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  made.append(use);
  made.setAttribute("aria-hidden", "true");
  return made;
}

/** A picture's frame: empty while it loads, with a line where it can't be shown. */
function fill(frame, picture) {
  frame.classList.toggle("loading", !picture);
  if (!picture) return;
  const shown = picture.src
    ? element("img", { src: picture.src, alt: "" })
    : element("span", { className: "broken", title: picture.error }, icon("picture"), "can't be shown");
  frame.replaceChildren(shown);
}

/** A long name or path, which breaks at its own marks if it must. */
function breakable(text) {
  const parts = text.split(/(?<=[_\-./\\])/);
  return element("span", {}, ...parts.flatMap((part) => [part, element("wbr")]));
}

function nameOf(hit) {
  const name = hit.path.split(/[\\/]/).pop();
  return hit.part ? `${name}, ${hit.part.replace("page=", "page ").replace("t=", "")}` : name;
}

function dateOf(hit, locale) {
  if (!hit.taken_at) return "";
  const [year, month, day] = hit.taken_at.slice(0, 10).split("-").map(Number);
  const date = new Date(Date.UTC(year, month - 1, day));
  return date.toLocaleDateString(locale, { dateStyle: "medium", timeZone: "UTC" });
}

function relevanceOf(hit) {
  return element("span", { className: `relevance ${hit.relevance}` }, element("i"), hit.relevance);
}

function ratioOf(hit) {
  return Math.min(Math.max(hit.width / hit.height || 1, 0.62), 2.2);
}

/** A hit in the grid. */
function card(hit, picture, { open, alike, locale }) {
  const frame = element("span", { className: "frame" });
  fill(frame, picture);
  const made = element(
    "li",
    { className: "card" },
    element(
      "button",
      {
        type: "button",
        className: "open",
        "aria-label": `${hit.rank}: ${nameOf(hit)}, ${RELEVANCE[hit.relevance]}. Open`,
        onclick: open,
      },
      frame,
      element("span", { className: "rank" }, String(hit.rank)),
    ),
    element(
      "button",
      { type: "button", className: "alike icon", "aria-label": "More like this", title: "More like this", onclick: alike },
      icon("alike"),
    ),
    element("div", { className: "name", title: hit.path }, nameOf(hit)),
    element(
      "div",
      { className: "line" },
      relevanceOf(hit),
      element("span", { title: "Cosine of picture and query" }, hit.score.toFixed(3)),
      element("span", {}, dateOf(hit, locale)),
    ),
  );
  made.style.setProperty("--ratio", ratioOf(hit));
  return made;
}

/** Cards without content, while the first search runs. */
function skeleton() {
  const cards = [1.5, 0.8, 1.3, 1, 1.5, 1.2].map((ratio) => {
    const made = element("li", { className: "card" }, element("span", { className: "frame loading" }));
    made.style.setProperty("--ratio", ratio);
    return made;
  });
  return element("ul", { className: "grid", "aria-hidden": "true" }, ...cards);
}

/** A message in place of pictures. */
function notice(title, text, action) {
  const sentence = text.charAt(0).toUpperCase() + text.slice(1);
  const made = element("div", { className: "notice" }, icon("picture"), element("h2", {}, title), element("p", {}, sentence));
  if (action) made.append(element("button", { type: "button", className: "go", onclick: action.run }, action.name));
  return made;
}

/** One hit, large, with all that is known of it. */
function detail(hit, { close, step, alike, hasPrevious, hasNext, locale }) {
  const frame = element("div", { className: "frame large" });
  frame.style.setProperty("--ratio", hit.width / hit.height || 1);
  const words = element("input", { type: "text", placeholder: "at night, in snow …", "aria-label": "What should be different" });
  const search = () => alike(words.value.trim());
  words.addEventListener("keydown", (event) => {
    if (event.key === "Enter") search();
  });
  const arrow = (name, label, by, works) =>
    element("button", { type: "button", className: `icon arrow ${name}`, "aria-label": label, title: label, disabled: !works, onclick: () => step(by) }, icon(name));
  const about = element(
    "div",
    { className: "about" },
    element(
      "div",
      { className: "head" },
      element("span", { className: "rank" }, String(hit.rank)),
      element("h2", {}, breakable(nameOf(hit))),
      element("button", { type: "button", className: "icon", "aria-label": "Close", title: "Close", onclick: close }, icon("close")),
    ),
    facts(hit, locale),
    element(
      "div",
      { className: "change" },
      element("label", {}, "Like this, but", words),
      element("button", { type: "button", className: "go", onclick: search }, icon("alike"), "More like this"),
    ),
  );
  const stage = element("div", { className: "stage" }, frame, arrow("back", "Previous picture", -1, hasPrevious), arrow("next", "Next picture", 1, hasNext));
  return element("article", { className: "detail", "aria-label": nameOf(hit) }, stage, about);
}

function facts(hit, locale) {
  const rows = [
    ["Match", element("span", {}, relevanceOf(hit), ` · ${hit.score.toFixed(3)}`)],
    ["Taken", dateOf(hit, locale)],
    ["Size", `${hit.width} × ${hit.height}`],
    ["File", `${hit.format}, ${bytesOf(hit.bytes, locale)}`],
    ["Path", element("span", { className: "path" }, breakable(hit.path))],
    ["Also at", hit.other_paths.length ? element("span", { className: "path" }, hit.other_paths.join("\n")) : ""],
  ];
  const shown = rows.filter(([, value]) => value !== "");
  return element("dl", {}, ...shown.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}

function bytesOf(count, locale) {
  const [unit, size] = count < 1e6 ? ["KB", count / 1e3] : ["MB", count / 1e6];
  return `${size.toLocaleString(locale, { maximumFractionDigits: size < 10 ? 1 : 0 })} ${unit}`;
}
