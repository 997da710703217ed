// The configuration of each run, unpacked when the reader opens it.

function startRuns() {
  const { head } = state;
  $("runs").replaceChildren(...head.runs.map((system, run) => {
    const details = element("details", {},
      element("summary", {}, `${head.systems[system].name}, seed ${head.seeds[run]}`));
    details.addEventListener("toggle", () => fillRun(details, run), { once: true });
    return details;
  }));
}

async function fillRun(details, run) {
  const title = details.querySelector("summary").textContent;
  const outputs = (await unpack("runs"))[run];
  const none = "There is no made_of.json beside its scores, so its training is unknown.";
  if (!outputs.length) details.append(element("p", { class: "quiet" }, none));
  for (const { name, commit, config } of outputs) {
    details.append(element("h3", {}, `${name}${commit ? `, commit ${commit}` : ""}`),
      element("pre", { tabindex: 0, role: "region", "aria-label": `configuration of ${name}, ${title}` }, config));
  }
}
