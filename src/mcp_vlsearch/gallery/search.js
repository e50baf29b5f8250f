"use strict";

/* What is searched for: from a tool's arguments, to a tool's call, and in the words of filters. */

const VIEW = "view_images";
const STEP = 20;
const MOST = 100;
const DAY = 86_400_000;
const SHOWN_FILTERS = ["taken_after", "taken_before", "orientation"];

/** The search that an assistant made, from the arguments of its call. */
function searchOf(given) {
  const { query, image, text, top_k, filters, min_relevance, ...more } = given;
  return {
    text: (image === undefined ? query : text) ?? "",
    image,
    filters: filters ?? {},
    relevance: min_relevance ?? "any",
    count: top_k ?? 10,
    more,
  };
}

/** The call that makes a search. */
function callOf({ text, image, filters, relevance, count, more }) {
  const common = { top_k: count, filters, min_relevance: relevance };
  return image === undefined
    ? ["search_by_text", { query: text, ...more, ...common }]
    : ["search_by_image", { image, text, ...more, ...common }];
}

/** The same search with other words: phrasings of the old ones do not fit them. */
function withText(search, text) {
  if (text === search.text) return search;
  const { alternatives, ...more } = search.more;
  return { ...search, text, more };
}

/** A search with a picture, which takes nothing that words alone take. */
function like(search, image, text = "") {
  const { alternatives, exclude, rewrite, ...more } = search.more;
  return { ...search, image, text, more };
}

/** The search with a filter set, or left out where the value is empty. */
function withFilter(search, name, value) {
  const { [name]: old, ...filters } = search.filters;
  return { ...search, filters: value ? { ...filters, [name]: value } : filters };
}

function isGiven(value) {
  return value !== null && value !== undefined && value !== "";
}

/** How many filters a search has. */
function filtersIn(search) {
  const given = Object.values(search.filters).filter(isGiven);
  return given.length + (search.relevance === "any" ? 0 : 1);
}

/** The filters that have no field of their own, as [name, words]. */
function otherFilters(search) {
  return Object.entries(search.filters)
    .filter(([name, value]) => !SHOWN_FILTERS.includes(name) && isGiven(value))
    .map(([name, value]) => [name, `${name.replaceAll("_", " ")}: ${wordsOf(value)}`]);
}

function wordsOf(value) {
  if (typeof value !== "object") return String(value);
  return `${value.km} km around ${value.latitude}, ${value.longitude}`;
}

/** `taken_before` leaves its own day out; people mean the last day by "to". */
function lastDay(before) {
  if (!before) return "";
  const [day, time = ""] = before.split(/[T ]/);
  return /[1-9]/.test(time.slice(0, 8)) ? day : shifted(day, -DAY);
}

function dayAfter(day) {
  return day ? shifted(day, DAY) : "";
}

function shifted(day, by) {
  const time = Date.parse(`${day}T00:00:00Z`);
  return Number.isNaN(time) ? "" : new Date(time + by).toISOString().slice(0, 10);
}

/** What a search found, from a tool's result; hosts may pass on its text alone. */
function foundIn(result) {
  const found = result.structuredContent ?? JSON.parse(textOf(result));
  if (!Array.isArray(found?.hits)) throw new Error("the host passed on no hits");
  return found;
}

/** Pictures by position: each image asked for gives one part, a picture or a line. */
function picturesIn(result) {
  return result.content.map((part) =>
    part.type === "image"
      ? { src: `data:${part.mimeType};base64,${part.data}` }
      : { error: part.text.replace(/^\d+\. /, "") },
  );
}
