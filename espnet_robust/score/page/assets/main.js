async function main() {
  startTheme();
  try {
    state.head = await unpack("head");
    const { title, made } = state.head;
    document.title = title;
    $("title").textContent = title;
    $("made").textContent = made;
    startTable();
    startCurves();
    changed();
    startRuns();
    await startUtterances();
    document.documentElement.dataset.ready = "true"; // for tests
  } catch (error) {
    $("trouble").hidden = false;
    $("trouble").textContent = `The page cannot show its data: ${error.message}`;
    throw error;
  }
}

main();
