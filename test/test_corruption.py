"""Every reader on damaged files: one line, or what stands in the file; never a crash or a NaN.

``-m recipe`` tries 150 inputs a reader, 1,950 in all; else it is 12.
"""

import contextlib
import io
import json

import kaldiio
import numpy as np
import pytest
import soundfile
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from espnet_robust.common.config import read_yaml
from espnet_robust.common.errors import UserError
from espnet_robust.data.audio import check_audio, read_audio
from espnet_robust.data.data_dir import read_data_dir, validate_data_dir, write_data_dir
from espnet_robust.models.student import load_student
from espnet_robust.plugin.checkpoints import read_weights
from espnet_robust.score.schema import ConditionScore, Scores, read_scores, write_scores

SAMPLES = 8000
AUDIO = {
    "wav": ("WAV", "PCM_16"), "wavex": ("WAVEX", "FLOAT"), "aiff": ("AIFF", "PCM_24"),
    "flac": ("FLAC", "PCM_16"), "mp3": ("MP3", "MPEG_LAYER_III"), "ogg": ("OGG", "VORBIS"),
}  # fmt: skip
damages = st.lists(
    st.tuples(
        st.sampled_from(["cut", "overwrite", "insert", "delete", "zero"]),
        st.floats(0, 1, exclude_max=True),
        st.binary(min_size=1, max_size=40),
    ),
    min_size=1,
    max_size=3,
)


def fuzz(test):
    """The test as it is, and as ``recipe`` with many more inputs."""
    few, many = pytest.param(12), pytest.param(150, marks=pytest.mark.recipe)

    @pytest.mark.parametrize("examples", [few, many])
    def run(examples, reader, tmp_path_factory):
        health = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
        seen = settings(max_examples=examples, suppress_health_check=health)(
            given(how=damages)(lambda how: test(reader, tmp_path_factory.mktemp("fuzz"), how))
        )
        seen()

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


def damaged(data: bytes, how: list[tuple[str, float, bytes]]) -> bytes:
    for what, where, other in how:
        at = int(where * len(data))
        if what == "cut":
            data = data[:at]
        elif what == "insert":
            data = data[:at] + other + data[at:]
        else:
            new = {"overwrite": other, "delete": b"", "zero": bytes(len(other))}[what]
            data = data[:at] + new + data[at + len(other) :]
    return data


@contextlib.contextmanager
def one_line():
    """A mistake of the user is one line."""
    try:
        yield
    except UserError as e:
        assert "\n" not in str(e), e


def check_samples(wav: np.ndarray, how, whole: int) -> None:
    assert np.isfinite(wav).all() and len(wav)
    if {what for what, *_ in how} == {"cut"}:
        assert len(wav) == whole  # what was lost came after the samples


def read_damaged_audio(kind, folder, how):
    format, subtype = AUDIO[kind]
    wav = 0.3 * np.sin(np.arange(SAMPLES) / 9) + np.random.default_rng(0).normal(0, 0.02, SAMPLES)
    buffer = io.BytesIO()
    soundfile.write(buffer, wav, 16000, format=format, subtype=subtype)
    path = folder / f"a.{kind}"
    path.write_bytes(buffer.getvalue())
    whole = len(read_audio(path))
    path.write_bytes(damaged(buffer.getvalue(), how))
    with one_line():
        check_audio(path)
        check_samples(read_audio(path), how, whole)


def read_damaged_ark(_, folder, how):
    samples = np.arange(SAMPLES, dtype=np.int16)
    audio = dict.fromkeys("ab", (16000, samples))
    kaldiio.save_ark(f"{folder}/a.ark", audio, scp=f"{folder}/a.scp")
    entries = [line.split()[1] for line in (folder / "a.scp").read_text().splitlines()]
    (folder / "a.ark").write_bytes(damaged((folder / "a.ark").read_bytes(), how))
    for entry in entries:
        with one_line():
            check_samples(read_audio(entry), how, SAMPLES)


def read_damaged_tables(_, folder, how):
    soundfile.write(folder / "a.wav", np.full(800, 0.1), 16000)
    ids = [f"s{n}-{n:03}" for n in range(20)]
    tables = {
        "wav.scp": dict.fromkeys(ids, f"{folder}/a.wav"),
        "text": {u: f"WORD {u}" for u in ids},
        "utt2spk": {u: u[:2] for u in ids},
        "utt2num_samples": dict.fromkeys(ids, "800"),
    }
    write_data_dir(folder / "d", tables)
    name = sorted(tables)[int(how[0][1] * len(tables))]
    (folder / "d" / name).write_bytes(damaged((folder / "d" / name).read_bytes(), how))
    with one_line():
        assert set(read_data_dir(folder / "d").wav) <= set(validate_data_dir(folder / "d").wav)


def read_damaged_yaml(_, folder, how):
    good = yaml.safe_dump({"chain": [{"one_of": [{"name": "white", "snr_db": [0, 20]}]}], "n": 1e9})
    (folder / "a.yaml").write_bytes(damaged(good.encode(), how))
    with one_line():
        assert isinstance(read_yaml(folder / "a.yaml"), dict)


def read_damaged_scores(_, folder, how):
    condition = ConditionScore("clean", 3, words=10, wer=20.0, cer=5.0)
    write_scores(folder / "a.json", Scores("asr", "cdm2", 0, (condition,), params=1, threads=1))
    (folder / "a.json").write_bytes(damaged((folder / "a.json").read_bytes(), how))
    with one_line():
        found = read_scores(folder / "a.json").conditions[0]
        assert found.wer is None or np.isfinite(found.wer)
        json.dumps(found.wer, allow_nan=False)


READERS = {
    **{f"audio {kind}": (read_damaged_audio, kind) for kind in AUDIO},
    "ark": (read_damaged_ark, None),
    "tables": (read_damaged_tables, None),
    "yaml": (read_damaged_yaml, None),
    "scores": (read_damaged_scores, None),
}


@pytest.mark.parametrize("reader", list(READERS))
@fuzz
def test_damaged_file(reader, folder, how):
    read, kind = READERS[reader]
    read(kind, folder, how)


@pytest.fixture(params=["config.yaml", "model.safetensors", "checkpoint"])
def reader(request, student_dir):
    return request.param, student_dir


@fuzz
def test_damaged_model(reader, folder, how):
    name, student = reader
    files = {file: (student / file).read_bytes() for file in ("config.yaml", "model.safetensors")}
    if name == "checkpoint":
        torch.save({"a.weight": torch.ones(3), "b": torch.zeros(2, 2)}, folder / "a.pth")
        (folder / "a.pth").write_bytes(damaged((folder / "a.pth").read_bytes(), how))
        with one_line():
            weights = read_weights(folder / "a.pth").values()
            assert all(isinstance(value, torch.Tensor) for value in weights)
        return
    for file, data in files.items():
        (folder / file).write_bytes(damaged(data, how) if file == name else data)
    with one_line():
        load_student(folder)
