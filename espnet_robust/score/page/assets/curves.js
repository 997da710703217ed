// Curves over SNR, or whatever else grades a series of conditions, for the systems in the table.

const COLOURS = 6; // defined in page.css; beyond that, systems differ in dashes and marks
const DASHES = ["", "6 3", "2 3", "8 3 2 3"];
const MARKS = ["M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0", "M-3.5,-3.5h7v7h-7z", "M0,-5l4.5,8h-9z",
  "M0,-5l5,5l-5,5l-5,-5z"];

const dash = (system) => DASHES[Math.floor(system / COLOURS) % DASHES.length];
const mark = (system) => MARKS[(system + Math.floor(system / COLOURS)) % MARKS.length];

/** A sample of a system's line, for the legend. */
function sample(system) {
  return element("svg", { viewBox: "0 0 28 12", width: 28, height: 12, "aria-hidden": "true" },
    element("line", { x1: 1, x2: 27, y1: 6, y2: 6, "stroke-dasharray": dash(system) }),
    element("path", { d: mark(system), transform: "translate(14,6)" }));
}

function startCurves() {
  const { curves } = state.head;
  $("curves").hidden = curves.length === 0;
  options($("series"), curves.map((curve, place) => [place, curve.name]));
  $("series").addEventListener("change", drawCurves);
  new ResizeObserver(drawCurves).observe($("plot"));
}

function drawCurves() {
  const curve = state.head.curves[$("series").value];
  const width = Math.floor($("plot").clientWidth);
  if (!curve || !width) return;
  const cells = curve.points.map(([row]) => metric().cells[row]);
  const values = cells.flatMap((row) => shownSystems().flatMap((s) => (row[s] ?? []).slice(0, 3)));
  const ticks = ticksTo(Math.max(1, ...values.filter((value) => value !== null)));
  const graded = curve.points.map(([, at]) => at).filter((at) => at !== null);
  const box = { left: 44, right: 12, top: 10, bottom: 42, width, height: Math.min(360, 160 + width / 3) };
  const from = box.left + 20 + (graded.length < curve.points.length ? 0.15 * (width - 96) : 0);
  const range = graded[graded.length - 1] - graded[0];
  // From easy to hard, the order of the series. Clean speech is not on the scale, so it stands beside it.
  const x = (at) =>
    at === null ? box.left + 20 : from + ((width - box.right - 20 - from) * (at - graded[0])) / range;
  const top = ticks[ticks.length - 1];
  const y = (value) => box.height - box.bottom - (box.height - box.bottom - box.top) * (value / top);
  const lines = shownSystems().map((system) =>
    drawSystem(system, curve.points.map(([row, at]) => [x(at), metric().cells[row][system], at]), y));
  const label = `${metric().title} against ${curve.axis}, ${curve.name}; the figures are in the table`;
  $("plot").replaceChildren(
    element("svg", { role: "img", "aria-label": label, width, height: box.height,
      viewBox: `0 0 ${width} ${box.height}` }, drawAxes(box, curve, ticks, x, y), ...lines),
  );
}

/** Four or five round figures, from 0 to at least ``top``. */
function ticksTo(top) {
  const power = 10 ** Math.floor(Math.log10(top));
  const step = power * [0.25, 0.5, 1, 2.5].find((s) => top / (s * power) <= 4.5);
  return [...Array(Math.ceil(top / step) + 1).keys()].map((i) => i * step);
}

function drawAxes(box, curve, ticks, x, y) {
  const bottom = box.height - box.bottom;
  const rows = ticks.flatMap((tick) => [
    element("line", { class: "grid", x1: box.left, x2: box.width - box.right, y1: y(tick), y2: y(tick) }),
    element("text", { x: box.left - 6, y: y(tick) + 4, "text-anchor": "end" }, String(tick)),
  ]);
  const columns = curve.points.map(([, at]) =>
    element("text", { x: x(at), y: bottom + 18, "text-anchor": "middle" }, at === null ? "clean" : String(at)));
  const axis = element("text", { x: (box.left + box.width - box.right) / 2, y: bottom + 36,
    "text-anchor": "middle" }, curve.axis);
  return element("g", {}, ...rows, ...columns, axis);
}

/** A line with a mark and an interval at each point that was measured. */
function drawSystem(system, points, y) {
  const { name } = state.head.systems[system];
  const known = points.filter(([, cell]) => cell);
  const joined = known.filter(([, , at]) => at !== null);
  const path = joined.map(([x, cell], i) => `${i ? "L" : "M"}${x},${y(cell[0])}`).join("");
  const marks = known.map(([x, cell]) =>
    element("path", { d: mark(system), transform: `translate(${x},${y(cell[0])})` },
      element("title", {}, `${name}: ${shown(cell[0])} ${BESIDE.interval(cell)}`)));
  const bars = known.filter(([, cell]) => cell[1] !== null).map(([x, cell]) =>
    element("line", { class: "bar", x1: x, x2: x, y1: y(cell[1]), y2: y(cell[2]) }));
  return element("g", { class: `system c${system % COLOURS}`, "data-system": name },
    element("path", { class: "curve", d: path, "stroke-dasharray": dash(system) }), ...bars, ...marks);
}
