// The utterances of one condition: a filtered and sorted list, and one utterance in full.

let block = null; // of the condition that is shown, as written by utterances.py
let list = null;

function startUtterances() {
  const { head } = state;
  $("compared").textContent = head.compared;
  options($("condition"), head.conditions.map(({ name }, place) => [place, name]));
  for (const name of ["first", "second"]) {
    options($(name), head.systems.map((system, place) => [place, system.name]));
  }
  const base = Math.max(0, head.systems.findIndex(({ name }) => name === head.baseline));
  $("first").value = base === head.systems.length - 1 ? 0 : head.systems.length - 1;
  $("second").value = base;
  list = virtualList($("list"), summaryOf, showUtterance);
  $("condition").addEventListener("change", () => loadCondition());
  for (const name of ["speaker", "first", "second", "order"]) {
    $(name).addEventListener("change", showList);
  }
  $("find").addEventListener("input", showList);
  const hardest = [...head.conditions.keys()].reduce((a, b) => (meanError(b) > meanError(a) ? b : a));
  $("condition").value = hardest;
  return loadCondition();
}

/** The error rate of all systems together. */
function meanError(row) {
  const { cells, higher } = state.head.metrics[0];
  const values = cells[row].filter(Boolean).map(([value]) => (higher ? 100 - value : value));
  return values.reduce((a, b) => a + b, 0) / (values.length || 1);
}

/** Go from the table to the utterances of a condition. */
async function openCondition(row) {
  $("condition").value = row;
  await loadCondition();
  $("utterances").scrollIntoView();
  $("list").focus({ preventScroll: true });
}

async function loadCondition() {
  const row = $("condition").value;
  const loaded = await unpack(`condition-${row}`);
  if (row !== $("condition").value) return; // another condition was chosen meanwhile
  const speaker = block?.speakerNames?.[$("speaker").value];
  block = loaded;
  const names = block.speakerNames ?? [];
  options($("speaker"), [["", "all"], ...names.map((name, place) => [place, name || "unknown"])]);
  const again = names.indexOf(speaker);
  $("speaker").value = again < 0 ? "" : again;
  showList();
}

/** Errors of a system in an utterance, averaged over seeds; null if it was not tested. */
function errorsOf(utterance, system) {
  const found = state.head.runs.flatMap((run, r) => (run === system ? [block.errors[utterance][r]] : []));
  return found.includes(null) ? null : found.reduce((a, b) => a + b, 0) / found.length;
}

function showList() {
  if (block.problem) {
    $("found").textContent = `Not shown: ${block.problem}`;
    list.show([]);
    $("utterance").replaceChildren();
    return;
  }
  const [first, second] = [Number($("first").value), Number($("second").value)];
  const worse = (u) => (errorsOf(u, second) ?? 0) - (errorsOf(u, first) ?? 0);
  const most = (u) => block.errors[u].reduce((a, b) => a + (b ?? 0), 0);
  const rank = { difference: (u) => Math.abs(worse(u)), first: worse, second: (u) => -worse(u),
    errors: most, id: () => 0 }[$("order").value];
  const speaker = $("speaker").value;
  const sought = $("find").value.trim().toLowerCase();
  const has = (u) => `${block.ids[u]} ${block.refs[u]}`.toLowerCase().includes(sought);
  const items = [...block.ids.keys()]
    .filter((u) => (speaker === "" || block.speakers[u] === Number(speaker)) && has(u))
    .map((u) => [rank(u), u])
    .sort(([a, u], [b, v]) => b - a || u - v)
    .map(([, u]) => u);
  $("found").textContent = `${items.length} of ${block.ids.length} utterances`;
  list.show(items);
  if (!items.length) $("utterance").replaceChildren();
}

/** A row of the list. */
function summaryOf(u) {
  const counts = ["first", "second"].map((name) => {
    const system = Number($(name).value);
    const errors = errorsOf(u, system);
    return `${state.head.systems[system].name} ${errors === null ? "–" : +errors.toFixed(1)}`;
  });
  return [
    element("span", { class: "top" }, element("span", {}, block.ids[u]),
      element("span", { class: "quiet" }, counts.join(" · "), element("span", { class: "unseen" }, " errors"))),
    element("span", { class: "ref" }, block.refs[u]),
  ];
}

function showUtterance(u) {
  const ref = block.refs[u];
  const rows = state.head.runs.flatMap((system, r) => (state.hidden.has(system) ? [] : [hypothesis(u, r, ref)]));
  const pictures = block.pictures[u] ?? [];
  const clean = block.clean.length
    ? [player("Clean", block.clean[u], pictures[1] ?? null)] : [];
  const name = state.head.conditions[$("condition").value].name;
  const input = element("input", { type: "file", webkitdirectory: true, multiple: true });
  startFolder(input, () => showUtterance(u));
  $("utterance").replaceChildren(
    element("h3", {}, block.ids[u]),
    element("p", { class: "quiet" }, `Speaker ${block.speakerNames[block.speakers[u]] || "unknown"}`),
    element("table", { class: "texts" }, element("tbody", {},
      element("tr", {}, element("th", { scope: "row" }, "reference"), element("td", {}, ref || "(empty)"),
        element("td", { class: "quiet" }, block.words.length ? `${block.words[u]} words` : "")), ...rows)),
    element("p", { class: "key quiet", "aria-hidden": "true" }, "errors: ", element("mark", {}, "other word"), " ",
      element("ins", {}, "inserted"), " ", element("del", {}, "deleted")),
    element("div", { class: "players" }, player(name, block.audio[u], pictures[0] ?? null), ...clean),
    drawn(block.drawn[u]),
    element("label", { class: "folder quiet" }, "Folder with the audio (if it has moved, or to see more spectrograms): ", input),
  );
}

/** The hypothesis of one run. */
function hypothesis(u, run, ref) {
  const { name, seeds } = state.head.systems[state.head.runs[run]];
  const seed = seeds.length > 1 ? ` (seed ${state.head.seeds[run]})` : "";
  const errors = block.errors[u][run];
  const text = block.hyps[u][run];
  const words = errors === null ? ["not tested"]
    : text === false ? ["its text has moved or is deleted"]
    : Array.isArray(text) ? marked(...text) : marked(ref, text ?? ref);
  return element("tr", {}, element("th", { scope: "row" }, name + seed), element("td", {}, ...words),
    element("td", { class: "quiet" }, errors === null ? "" : `${errors} ${errors === 1 ? "error" : "errors"}`));
}

/** How it was distorted, step by step, from utt2distortion. */
function drawn(record) {
  if (!record) return element("p", { class: "quiet" }, "Not distorted.");
  const { steps = [], ...others } = record;
  const text = (fields) => Object.entries(fields).map(([key, value]) =>
    `${key} ${typeof value === "string" ? value : JSON.stringify(value)}`).join(", ");
  return element("div", { class: "drawn" }, element("h4", {}, "Distortion drawn"),
    element("ol", {}, ...steps.map(({ kind, ...rest }) =>
      element("li", {}, element("strong", {}, String(kind)), ` ${text(rest)}`))),
    element("p", { class: "quiet" }, text(others)));
}
