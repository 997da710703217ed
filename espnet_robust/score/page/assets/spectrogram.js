// Draw spectrograms from cells, and compute cells from samples as spectrogram.py does.

const RATE = 16000;
const WINDOW = 512;
const HOP = 320;
const BANDS = 64;
const RANGE_DB = 70;
const LEVELS = 15;

/** The first bin of each band and the bin after its last: equally wide in mel, at least one bin. */
function bandEdges() {
  const top = 2595 * Math.log10(1 + RATE / 2 / 700);
  const bin = (band) =>
    Math.floor((700 * (10 ** ((top * band) / BANDS / 2595) - 1) * WINDOW) / RATE + 1e-9);
  return [...Array(BANDS).keys()].map((b) => [bin(b), Math.max(bin(b + 1), bin(b) + 1)]);
}

/** Power spectrum of WINDOW samples, by a radix-2 fast Fourier transform. */
function powers(samples) {
  const [re, im] = transform(samples, new Float64Array(samples.length));
  return Float64Array.from({ length: WINDOW / 2 + 1 }, (_, k) => re[k] ** 2 + im[k] ** 2);
}

function transform(re, im) {
  const n = re.length;
  if (n === 1) return [re, im];
  const half = (values, odd) => Float64Array.from({ length: n / 2 }, (_, i) => values[2 * i + odd]);
  const [evenRe, evenIm] = transform(half(re, 0), half(im, 0));
  const [oddRe, oddIm] = transform(half(re, 1), half(im, 1));
  const [outRe, outIm] = [new Float64Array(n), new Float64Array(n)];
  for (let k = 0; k < n / 2; k++) {
    const [c, s] = [Math.cos((2 * Math.PI * k) / n), -Math.sin((2 * Math.PI * k) / n)];
    const [a, b] = [c * oddRe[k] - s * oddIm[k], c * oddIm[k] + s * oddRe[k]];
    [outRe[k], outIm[k]] = [evenRe[k] + a, evenIm[k] + b];
    [outRe[k + n / 2], outIm[k + n / 2]] = [evenRe[k] - a, evenIm[k] - b];
  }
  return [outRe, outIm];
}

/** Samples at RATE -> frames x BANDS levels from 0 to LEVELS. */
function cellsOf(wav) {
  const frames = Math.floor(Math.max(0, wav.length - WINDOW) / HOP) + 1;
  const edges = bandEdges();
  const decibels = new Float64Array(frames * BANDS);
  for (let t = 0; t < frames; t++) {
    const power = powers(Float64Array.from({ length: WINDOW }, (_, i) =>
      (wav[t * HOP + i] ?? 0) * (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / WINDOW))));
    edges.forEach(([from, to], band) => {
      const mean = power.subarray(from, to).reduce((a, b) => a + b) / (to - from);
      decibels[t * BANDS + band] = 10 * Math.log10(Math.max(mean, 1e-10));
    });
  }
  const loudest = decibels.reduce((a, b) => Math.max(a, b));
  const level = (db) => Math.round(LEVELS * Math.max(0, 1 + (db - loudest) / RANGE_DB));
  return Uint8Array.from(decibels, level);
}

const cellsFrom = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));

/** Decode an audio file to one channel at RATE. */
async function decode(bytes) {
  const audio = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes);
  return audio.getChannelData(0);
}

/** Draw cells on a canvas: time runs to the right, frequency upwards. */
function drawCells(canvas, cells) {
  const frames = cells.length / BANDS;
  [canvas.width, canvas.height] = [frames, BANDS];
  const context = canvas.getContext("2d");
  const image = context.createImageData(frames, BANDS);
  cells.forEach((level, i) => {
    const [t, band] = [Math.floor(i / BANDS), i % BANDS];
    image.data.set(colourOf(level / LEVELS), 4 * ((BANDS - 1 - band) * frames + t));
  });
  context.putImageData(image, 0, 0);
  canvas.setAttribute("aria-label",
    `Spectrogram of ${((frames * HOP) / RATE).toFixed(1)} s, 0 to 8 kHz on a mel scale`);
  canvas.hidden = false;
}

/** Colours from black through violet and orange to pale yellow, brighter with each level. */
function colourOf(x) {
  return [255 * Math.min(1, 1.6 * x), 255 * x ** 2, 255 * (0.45 * Math.sin(Math.PI * x) + 0.55 * x ** 6), 255];
}
