"""Speech that arrives: from a pipe or a microphone, printed as it comes."""

import io
import json
import subprocess
import sys
import types
import wave

import numpy as np
import pytest
import soundfile

from espnet_robust.bin import export as export_command
from espnet_robust.bin import transcribe as command
from espnet_robust.common.errors import AudioError, ConfigError, ModelError
from espnet_robust.device import listen
from espnet_robust.device.export import export
from espnet_robust.device.greedy import BLANK, Token, Word, best_path, words
from espnet_robust.device.metadata import Metadata, text_of
from espnet_robust.device.runtime import recogniser
from espnet_robust.device.stream import stream_log_probs
from espnet_robust.device.transcriber import transcribe
from espnet_robust.recognise.decode import load_recogniser

PIECES = ["<blank>", "▁TURN", "▁O", "N", "▁", "OFF"]


def frames(ids):
    return np.eye(len(PIECES), dtype=np.float32)[ids]


@pytest.fixture
def scripted(monkeypatch):
    """A model whose outputs are the blocks that it is given."""
    monkeypatch.setattr(listen, "stream_log_probs", lambda model, blocks: iter(blocks))
    return types.SimpleNamespace(metadata=Metadata("stream", 16000, 640, 400, pieces=PIECES))


def test_text_comes_with_the_block_and_joins_to_the_text(scripted):
    ids = [[0, 0], [1, 1], [1, 0], [2, 3], [0, 3], [4, 5], [5, 0]]
    heard, blocks = [], []

    def feed():
        for block in ids:
            blocks.append(block)
            yield frames(block)

    for part in listen.text_as_it_comes(scripted, feed()):
        heard.append((len(blocks), part))
    assert heard == [(2, "TURN"), (4, " O"), (4, "N"), (5, "N"), (6, " OFF")]
    tokens = best_path([frames(block) for block in ids])
    assert "".join(part for _, part in heard) == text_of([PIECES[token.id] for token in tokens])


def test_a_word_comes_when_the_next_begins_or_after_a_pause(scripted):
    pause = round(listen.PAUSE_S / 0.04)
    blocks = [frames([1]), frames([0] * 3), frames([2]), frames([3])]
    blocks += [frames([0])] * pause + [frames([0])] * 50
    heard, count = [], 0

    def feed():
        nonlocal count
        for block in blocks:
            count += 1
            yield block

    for word in listen.words_as_they_come(scripted, feed()):
        heard.append((count, word.word, word.start, word.end))
    # The next word has begun for certain once its first token is over.
    assert heard == [(4, "TURN", 0.0, 0.04), (4 + pause, "ON", 0.16, 0.24)]


def test_pauses_do_not_change_words():
    ids = [1, 0, 0, 0, 2, 3, 0, 0, 0, 0]
    paused = list(best_path([frames(ids)], pause=2))
    assert [token for token in paused if token.id == BLANK] == [Token(0, 1, 2), Token(0, 6, 7)]
    plain = list(best_path([frames(ids)]))
    assert [token for token in paused if token.id != BLANK] == plain
    assert list(words(paused, PIECES, 0.04)) == list(words(plain, PIECES, 0.04))


def pipe(data):
    return io.BufferedReader(io.BytesIO(data))


def wav_bytes(samples, rate=16000, channels=1, bits=16):
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(bits // 8)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return out.getvalue()


NOISE = (1000 * np.random.default_rng(0).standard_normal(8000)).astype("<i2")


def test_raw_samples_and_wav_are_the_same():
    raw = np.concatenate(list(listen.standard_input(pipe(NOISE.tobytes() + b"x"), 16000, 16000)))
    np.testing.assert_array_equal(raw, NOISE.astype(np.float32) / 2**15)
    both = NOISE.repeat(2)
    for data in (wav_bytes(NOISE), wav_bytes(both, channels=2)):
        heard = np.concatenate(list(listen.standard_input(pipe(data), 8000, 16000)))
        np.testing.assert_array_equal(heard, raw)


class Trickle(io.RawIOBase):
    """A pipe that hands over three bytes at a time."""

    def __init__(self, data):
        self.rest = io.BytesIO(data)

    def readable(self):
        return True

    def readinto(self, buffer):
        data = self.rest.read(min(3, len(buffer)))
        buffer[: len(data)] = data
        return len(data)


def test_a_header_that_comes_in_parts_is_no_speech():
    data = wav_bytes(NOISE)
    heard = list(listen.standard_input(io.BufferedReader(Trickle(data)), 8000, 16000))
    assert sum(map(len, heard)) == len(NOISE)


@pytest.mark.parametrize("length", [0x7FFFFFFF, 0x7FFFF000 - 2, 0xFFFFFFFF])
def test_a_wav_of_open_length_ends_where_its_bytes_end(length):
    data = bytearray(wav_bytes(NOISE))
    data[40:44] = length.to_bytes(4, "little")
    heard = list(listen.standard_input(pipe(bytes(data)), 8000, 16000))
    assert sum(map(len, heard)) == len(NOISE)


def test_other_rates_are_resampled():
    for data in (NOISE.tobytes(), wav_bytes(NOISE, rate=8000)):
        blocks = list(listen.standard_input(pipe(data), 8000, 16000))
        assert sum(map(len, blocks)) == 16000 and len(blocks) > 10


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "standard input: no samples"),
        (b"x", "standard input: no samples"),
        (wav_bytes(NOISE[:0]), "standard input: no samples"),
        (wav_bytes(NOISE[:10])[:20], "not readable as WAV"),
        (b"RIFF" + bytes(100), "not readable as WAV"),
        (wav_bytes(NOISE.astype("u1"), bits=8), "WAV of 8 bits; need 16"),
        (wav_bytes(NOISE, rate=3999), "WAV of 3999 Hz; need 4000 to 384000 Hz"),
        (wav_bytes(NOISE, rate=384001), "WAV of 384001 Hz; need 4000 to 384000 Hz"),
        (wav_bytes(NOISE)[:24] + bytes(4) + wav_bytes(NOISE)[28:], "WAV of 0 Hz; need 4000 to"),
        (wav_bytes(NOISE)[:-4000], "WAV cut off after 6000 of 8000 samples"),
    ],
)
def test_input_that_is_refused(data, message):
    with pytest.raises(AudioError, match=message) as refusal:
        list(listen.standard_input(pipe(data), 16000, 16000))
    assert "\n" not in str(refusal.value)


def encoded(kind):
    out = io.BytesIO()
    soundfile.write(out, NOISE, 16000, format=kind)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        *((encoded(kind), kind) for kind in ("FLAC", "OGG", "RF64", "AIFF", "AU")),
        (b"ID3\x04" + bytes(100), "MP3"),
        (b"RIFX" + wav_bytes(NOISE)[4:], "big-endian WAV"),
    ],
)
def test_other_files_are_not_taken_for_samples(data, kind):
    with pytest.raises(AudioError, match=f"^standard input: {kind}, need WAV or raw") as refusal:
        list(listen.standard_input(pipe(data), 16000, 16000))
    assert "\n" not in str(refusal.value)


class FakeMicrophone:
    """sounddevice with a microphone that hears three blocks, then Ctrl-C."""

    class PortAudioError(Exception):
        pass

    def __init__(self, fails=False):
        self.fails, self.left = fails, 3

    def InputStream(self, samplerate, channels, dtype, blocksize):
        if self.fails:
            raise self.PortAudioError("Error querying device -1")
        assert (samplerate, channels, dtype) == (16000, 1, "float32")
        return self

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def read(self, size):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return np.full((size, 1), 0.1, np.float32), self.left == 0


def test_a_microphone_until_ctrl_c(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", FakeMicrophone())
    notes = []
    blocks = list(listen.microphone(16000, notes.append))
    assert [block.shape for block in blocks] == [(640,)] * 3
    assert len(notes) == 1 and "samples were lost" in notes[0]


def test_microphones_that_are_not_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", FakeMicrophone(fails=True))
    with pytest.raises(AudioError, match="microphone: Error querying device"):
        list(listen.microphone(16000, print))
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(ConfigError, match="sounddevice is needed .*; fix: pip install sounddevice"):
        list(listen.microphone(16000, print))

    def no_library(name, fix):
        raise OSError("PortAudio library not found")

    monkeypatch.setattr(listen, "package", no_library)
    with pytest.raises(ConfigError, match="PortAudio library not found; fix: apt-get install"):
        list(listen.microphone(16000, print))


@pytest.fixture(scope="module")
def streamed(tmp_path_factory, stream_experiment):
    """The directory with stream.onnx."""
    out = tmp_path_factory.mktemp("streamed")
    export(stream_experiment, out, "stream", "1epoch.pth")
    return out


COMMAND = [sys.executable, "-m", "espnet_robust", "transcribe"]


def test_a_pipe_gives_the_text_of_the_file_before_it_ends(root, streamed, data):
    path = streamed / "stream.onnx"
    expected = transcribe(recogniser(path), data / "u2.wav", print)
    assert expected.text
    samples, _ = soundfile.read(data / "u2.wav", dtype="int16")
    with subprocess.Popen(
        [*COMMAND, path, "--stream"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root
    ) as process:
        process.stdin.write(samples.tobytes() + bytes(2 * 16000))
        process.stdin.flush()
        first = process.stdout.read(1)  # while the input is open
        process.stdin.close()
        text = (first + process.stdout.read()).decode()
    assert process.returncode == 0
    padded = np.concatenate([samples, np.zeros(16000, "int16")])
    tokens = best_path(stream_log_probs(recogniser(path), [padded.astype(np.float32) / 2**15]))
    pieces = recogniser(path).metadata.pieces
    assert text == text_of([pieces[token.id] for token in tokens]) + "\n"


def test_json_words_are_those_of_the_file(root, streamed, data):
    path = streamed / "stream.onnx"
    done = subprocess.run(
        [*COMMAND, path, "--stream", "--json"],
        input=(data / "u2.wav").read_bytes(), capture_output=True, cwd=root, check=True,
    )  # fmt: skip
    expected = transcribe(recogniser(path), data / "u2.wav", print).words
    assert [Word(**json.loads(line)) for line in done.stdout.splitlines()] == expected


def test_the_stream_is_espnets_recogniser(stream_experiment, streamed, data):
    decoder, model = (
        load_recogniser(stream_experiment, "1epoch.pth"),
        recogniser(streamed / "stream.onnx"),
    )
    paths = sorted(data.glob("*.wav"))
    wavs = [soundfile.read(path, dtype="float32")[0] for path in paths]
    expected = [" ".join(text.split()) for text in decoder(wavs)]
    assert [transcribe(model, path, print).text for path in paths] == expected
    assert len(set(expected)) > 2  # it has learned something


def test_memory_of_ten_minutes_is_that_of_one(streamed):
    code = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from espnet_robust.device.measure import peak_mib\n"
        "from espnet_robust.device.runtime import Runtime\n"
        "from espnet_robust.device.stream import Stream\n"
        "stream, rng = Stream(Runtime(Path(sys.argv[1]))), np.random.default_rng(0)\n"
        "block, peaks = (0.1 * rng.standard_normal(16000)).astype(np.float32), []\n"
        "for second in range(600):\n"
        "    stream.feed(block)\n"
        "    peaks.append(peak_mib())\n"
        "print(peaks[60], peaks[-1], 'torch' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, streamed / "stream.onnx"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    one, ten, torch = done.stdout.split()
    assert float(ten) < float(one) + 1 and torch == "False"


def test_other_models_and_options_are_refused(exported, streamed, data, capsys):
    path = exported / "model.onnx"
    with pytest.raises(ModelError, match="needs whole utterances; --stream needs a stream.onnx"):
        command.main([str(path), "--stream"])
    for wrong in ([], [str(data / "u1.wav"), "--stream"], ["--stream", "--rate", "0"]):
        with pytest.raises(SystemExit):
            command.main([str(path), *wrong])
    assert "name audio files or --stream, one of the two" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["u.wav", "--window", "nan"], "--window: need at least 10 seconds"),
        (["u.wav", "--window", "inf"], "--window: need at least 10 seconds"),
        (["u.wav", "--rate", "16000"], "--rate: only for raw samples"),
        (["--stream", "microphone", "--rate", "16000"], "--rate: only for raw samples"),
        (["--stream", "--rate", "12"], "--rate: need 4000 to 384000 Hz"),
        (["--stream", "--rate", "400000"], "--rate: need 4000 to 384000 Hz"),
    ],
)
def test_options_that_are_refused(options, message, capsys):
    with pytest.raises(SystemExit):
        command.main(["model.onnx", *options])
    assert message in capsys.readouterr().err


def test_all_formats_that_a_causal_student_allows(stream_experiment, tmp_path, capsys):
    export_command.main([str(stream_experiment), str(tmp_path), "--checkpoint", "1epoch.pth"])
    out, err = capsys.readouterr()
    assert {path.name for path in tmp_path.glob("*.onnx")} == {
        "model.onnx", "model.int8.onnx", "stream.onnx", "stream.int8.onnx",
    }  # fmt: skip
    assert len(out.splitlines()) == 4
    assert "cannot be exported for sherpa-onnx, which scales each utterance" in err
