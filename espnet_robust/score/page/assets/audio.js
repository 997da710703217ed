// Audio players. A page opened from disk may play the files beside it, but may read their samples, which a
// spectrogram needs, only from a folder that the reader has chosen. From a web server it may do both.

const chosen = new Map(); // name of a file -> the files of that name in the chosen folder

function startFolder(input, then) {
  input.addEventListener("change", () => {
    chosen.clear();
    for (const file of input.files) chosen.set(file.name, [...(chosen.get(file.name) ?? []), file]);
    then();
  });
}

/** The file in the chosen folder whose path has the longest ending in common; null if none has. */
function chosenFile(path) {
  const parts = path.split("/").reverse();
  const alike = (file) => {
    const others = (file.webkitRelativePath || file.name).split("/").reverse();
    const differ = parts.findIndex((part, i) => part !== others[i]);
    return differ < 0 ? parts.length : differ;
  };
  const files = chosen.get(parts[0]) ?? [];
  return files.reduce((best, file) => (best && alike(best) >= alike(file) ? best : file), null);
}

/**
 * A player with its spectrogram.
 * @param entry a path, or [path, start, end] of a segment in seconds, or null
 * @param picture the spectrogram that came with the page, as base64, or null
 */
function player(label, entry, picture) {
  const canvas = element("canvas", { role: "img", hidden: true });
  const said = element("p", { class: "quiet", role: "status" });
  const figure = element("figure", {}, element("figcaption", {}, label), canvas);
  if (picture) drawCells(canvas, cellsFrom(picture));
  if (!entry) {
    said.textContent = "No player: the audio is not in a file of its own, but in an archive or made by a command.";
    figure.append(said);
    return figure;
  }
  const [path, start, end] = Array.isArray(entry) ? entry : [entry, null, null];
  const file = chosenFile(path);
  const url = file ? URL.createObjectURL(file) : path.split("/").map(encodeURIComponent).join("/");
  const part = start === null ? "" : `#t=${start}${end > 0 ? `,${end}` : ""}`;
  const audio = element("audio", { controls: true, preload: "metadata", src: url + part,
    "aria-label": label });
  audio.addEventListener("error", () => {
    said.textContent = `Cannot be played: ${path}. If it has moved, choose its folder below.`;
  });
  figure.append(audio, said);
  if (!picture && start === null) drawFromAudio(canvas, said, file, url);
  return figure;
}

async function drawFromAudio(canvas, said, file, url) {
  const served = location.protocol.startsWith("http");
  if (!file && !served) {
    said.textContent = "To see its spectrogram, choose the folder with the audio below.";
    return;
  }
  try {
    const bytes = file ? await file.arrayBuffer() : await (await fetch(url)).arrayBuffer();
    drawCells(canvas, cellsOf(await decode(bytes)));
  } catch {
    said.textContent = "No spectrogram: this browser cannot decode the file.";
  }
}
