// The table: conditions down, systems across; pressing a system's name sorts by its figures.

const BESIDE = {
  interval: (cell) => (cell[1] === null ? "" : `[${shown(cell[1])}, ${shown(cell[2])}]`),
  edits: (cell, edits) => (!edits ? "" : edits.map(shown).join(" / ")),
  nothing: () => "",
};

/** The indices of the conditions, in the order of the rows. */
function rowOrder() {
  const named = $("named").value.trim().toLowerCase();
  const rows = [...state.head.conditions.keys()].filter((row) =>
    state.head.conditions[row].name.toLowerCase().includes(named),
  );
  const { system, up } = state.sort;
  if (system === null) return rows;
  const rank = (row) => {
    const cell = metric().cells[row][system];
    return cell ? (up ? cell[0] : -cell[0]) : Infinity; // what was not measured comes last
  };
  return rows.sort((a, b) => rank(a) - rank(b) || a - b);
}

function drawTable() {
  const { head, sort } = state;
  const systems = shownSystems();
  const header = systems.map((system) => {
    const sorted = sort.system === system ? (sort.up ? "ascending" : "descending") : null;
    const sign = { ascending: " ▲", descending: " ▼" }[sorted] ?? "";
    const button = element("button", { click: () => sortBy(system), "data-system": system },
      head.systems[system].name, element("span", { "aria-hidden": "true" }, sign));
    return element("th", { scope: "col", "aria-sort": sorted }, button);
  });
  const first = element("button", { click: () => sortBy(null) }, "condition");
  const rows = rowOrder().map((row) => {
    const { name } = head.conditions[row];
    const button = element("button", { click: () => openCondition(row) },
      ...name.split(/(?<=_)/).flatMap((part) => [part, element("wbr")]));
    return element("tr", {}, element("th", { scope: "row" }, button),
      ...figuresOf(metric().cells[row], metric().edits[row], systems), ...about(row));
  });
  const foot = metric().distorted.length
    ? [element("tr", {}, element("th", { scope: "row" }, "mean distorted"),
        ...figuresOf(metric().distorted, [], systems),
        element("td"), element("td"), element("td"))]
    : [];
  $("table").replaceChildren(
    element("table", {},
      element("thead", {}, element("tr", {}, element("th", { scope: "col" }, first), ...header,
        ...["utterances", "speakers"].map((name) => element("th", { scope: "col" }, name)),
        element("th", { scope: "col", class: "meaning" }, "speech"))),
      element("tbody", {}, ...rows),
      element("tfoot", {}, ...foot)),
  );
}

/** The columns after the figures, which describe the condition. */
function about(row) {
  const { utterances, speakers, meaning } = state.head.conditions[row];
  const cells = [utterances, speakers].map((n) => element("td", { class: "quiet" }, String(n ?? "–")));
  return [...cells, element("td", { class: "quiet meaning" }, meaning ?? "–")];
}

/** The figures of a row, for the systems that are shown. */
function figuresOf(cells, edits, systems) {
  const values = systems.map((s) => cells[s]?.[0]).filter((value) => value !== undefined);
  const best = metric().higher ? Math.max(...values) : Math.min(...values);
  return systems.map((s) => cellOf(cells[s], edits[s], values.length > 1 && cells[s]?.[0] === best));
}

/** One figure and its interval or mark; bold if it is the best of its row. */
function cellOf(cell, edits, isBest) {
  if (!cell) return element("td", { class: "quiet" }, "–");
  const value = element(isBest ? "strong" : "span", {}, shown(cell[0]));
  const beside = BESIDE[$("beside").value](cell, edits);
  const mark = { 1: ["better", "+"], "-1": ["worse", "−"] }[cell[3]];
  return element("td", {}, value,
    mark ? element("span", { class: mark[0] }, ` ${mark[1]}`,
      element("span", { class: "unseen" }, ` ${mark[0]} than ${state.head.baseline}`)) : null,
    beside ? element("span", { class: "beside" }, ` ${beside}`) : null);
}

/** Sort rows by a system's figures, best first; pressed again, worst first; null: the given order. */
function sortBy(system) {
  const best = !metric().higher;
  const again = state.sort.system === system && state.sort.up === best;
  state.sort = { system, up: again ? !best : best };
  drawTable();
  const pressed = system === null ? "thead button" : `thead button[data-system="${system}"]`;
  $("table").querySelector(pressed).focus();
}

function startTable() {
  const { head } = state;
  options($("metric"), head.metrics.map((m, place) => [place, m.title]));
  $("metric").addEventListener("change", () => {
    state.metric = Number($("metric").value);
    changed();
  });
  $("beside").addEventListener("change", drawTable);
  $("named").addEventListener("input", drawTable);
  $("notes").replaceChildren(...[...head.notes, ...head.problems].map((note) => element("p", {}, ...withCode(note))));
  $("more").replaceChildren(...head.tables.map(plainTable));
  $("systems").replaceChildren(...head.systems.map((system, place) => {
    const box = element("input", { type: "checkbox", checked: true, change: () => {
      if (box.checked) state.hidden.delete(place);
      else state.hidden.add(place);
      changed();
    } });
    return element("label", { class: `system c${place % COLOURS}` }, box, sample(place), system.name);
  }));
}

/** A table as in the other files of the report. */
function plainTable({ title, header, rows, notes }) {
  const cells = (tag, row) => element("tr", {}, ...row.map((cell, i) => {
    if (!cell) return element("td"); // the corner
    return i && tag === "td" ? element("td", {}, cell)
      : element("th", { scope: tag === "th" ? "col" : "row" }, cell);
  }));
  return element("details", {}, element("summary", {}, title),
    element("div", { class: "scroll", role: "region", "aria-label": title, tabindex: 0 },
      element("table", {}, element("thead", {}, cells("th", header)),
        element("tbody", {}, ...rows.map((row) => cells("td", row))))),
    ...notes.map((note) => element("p", { class: "quiet" }, ...withCode(note))));
}

/** Update everything that depends on the table. */
function changed() {
  drawTable();
  drawCurves();
  if (list?.current >= 0) showUtterance(list.items[list.current]);
}
