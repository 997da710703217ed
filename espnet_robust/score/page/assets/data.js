"use strict";
// What all parts of the page share: its data, and how elements are made.

/** The content of a block of data; unpacking takes as long as it is large. */
async function unpack(name) {
  const packed = atob(document.querySelector(`script[data-name="${name}"]`).textContent);
  const bytes = new Uint8Array(packed.length);
  for (let i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i);
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(unpacked).json();
}

/** The element of the page with this id. */
const $ = (id) => document.getElementById(id);

/**
 * A new element. Texts become text, never HTML: ids and transcripts may hold anything.
 * Attributes that are functions are listeners; those that are null or false are left out.
 */
function element(tag, attributes = {}, ...content) {
  const svg = ["svg", "g", "line", "path", "text", "title"].includes(tag);
  const made = svg
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...content.filter((child) => child !== null));
  return made;
}

/** A note of the other files of the report: what stands between backticks is code. */
function withCode(note) {
  return note.split("`").map((part, i) => (i % 2 ? element("code", {}, part) : part));
}

/** Fill a select with [value, text] pairs. */
function options(select, pairs) {
  select.replaceChildren(...pairs.map(([value, text]) => element("option", { value }, text)));
}

/** What is shown now, by all parts of the page. */
const state = {
  head: null, // figures.py
  metric: 0, // place in head.metrics
  hidden: new Set(), // places of systems
  sort: { system: null, up: true }, // of the table's rows; null: as given
};

/** A figure as the table shows it. */
const shown = (value) => (value === null ? "–" : value.toFixed(1));

const metric = () => state.head.metrics[state.metric];

const shownSystems = () => [...state.head.systems.keys()].filter((s) => !state.hidden.has(s));
