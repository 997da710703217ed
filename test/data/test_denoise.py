"""tools/denoise.py, with a stand-in for RNNoise: it only delays, by as much as RNNoise."""

import sys
from collections import deque
from types import SimpleNamespace

import numpy as np
import pytest

from espnet_robust.common.errors import UserError
from espnet_robust.data.audio import RATE, read_audio, write_audio
from espnet_robust.data.conditions import Condition, as_file, read_condition
from espnet_robust.data.data_dir import read_data_dir, write_data_dir

FRAME = 480


@pytest.fixture(scope="module")
def denoise(load_tool):
    return load_tool("denoise")


def process(state, frame):
    assert frame.shape == (FRAME,) and frame.dtype == np.int16
    state.append(frame)
    return state.popleft(), 1.0


DELAY = SimpleNamespace(
    create=lambda: deque([np.zeros(FRAME, np.int16)] * 2),
    destroy=deque.clear,
    process_mono_frame=process,
)


@pytest.mark.parametrize("samples", [1, 159, 160, 161, 4000])
def test_what_is_denoised_has_its_length_and_is_not_late(denoise, samples):
    wav = np.sin(2 * np.pi * 440 * np.arange(samples) / RATE).astype(np.float32) * 0.5
    out = denoise.denoise(DELAY, wav)
    assert out.shape == wav.shape
    inner = slice(min(samples // 2, 60), samples - min(samples // 2, 60))
    np.testing.assert_allclose(out[inner], wav[inner], atol=2e-3)


def test_a_data_dir_keeps_its_tables_and_condition(denoise, tmp_path):
    noisy = Condition("noise_snr5", 5.0, "conf/distortion/mini_test.yaml")
    wav = 0.1 * np.random.default_rng(0).standard_normal(2000)
    write_audio(tmp_path / "u1.flac", wav)
    tables = {"wav.scp": str(tmp_path / "u1.flac"), "text": "on", "utt2spk": "s", "utt2dur": "0.1"}
    rows = {name: {"u1": entry} for name, entry in tables.items()}
    write_data_dir(tmp_path / "test_noise_snr5", rows, as_file(noisy))
    out = tmp_path / "rnnoise_test_noise_snr5"
    denoise.denoise_data_dir(DELAY, tmp_path / "test_noise_snr5", out)
    made = read_data_dir(out)
    assert read_condition(out) == noisy
    assert made.tables["text"] == {"u1": "on"} and "utt2dur" not in made.tables
    assert len(read_audio(made.wav["u1"])) == 2000


def test_without_the_bindings_it_says_what_to_install(denoise, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyrnnoise", None)
    with pytest.raises(UserError, match="pip install pyrnnoise"):
        denoise.load()
