"use strict";
// What all parts of the page share: the data, the state, and a way to make elements.

/** Unpack a block of data; large ones take time, so do it when they are needed. */
async function unpack(name) {
  const packed = atob(document.querySelector(`script[data-name="${name}"]`).textContent);
  const bytes = new Uint8Array(packed.length);
  for (let i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i);
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(unpacked).json();
}

/** The element with this id. */
const $ = (id) => document.getElementById(id);

/**
 * Make an element. Strings become text, never HTML, since ids and transcripts may contain anything.
 * Attributes that are functions become listeners; those that are null or false are left out.
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

/** A note as in the other files of the report, with text between backticks as code. */
function withCode(note) {
  return note.split("`").map((part, i) => (i % 2 ? element("code", {}, part) : part));
}

/** Fill a select with [value, text] pairs. */
function options(select, pairs) {
  select.replaceChildren(...pairs.map(([value, text]) => element("option", { value }, text)));
}

/** What all parts of the page show now. */
const state = {
  head: null, // as written by figures.py
  metric: 0, // index in head.metrics
  hidden: new Set(), // indices of systems
  sort: { system: null, up: true }, // of the table's rows; system null: in the given order
};

/** A figure as the table shows it. */
const shown = (value) => (value === null ? "–" : value.toFixed(1));

const metric = () => state.head.metrics[state.metric];

const shownSystems = () => [...state.head.systems.keys()].filter((s) => !state.hidden.has(s));
