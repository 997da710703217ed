import kaldiio
import numpy as np
import pytest
import soundfile
from espnet2.tasks.asr import ASRTask
from espnet2.train.dataset import ESPnetDataset
from espnet2.train.iterable_dataset import IterableESPnetDataset

from espnet_robust.common.errors import AudioError, DataDirError
from espnet_robust.data.audio import read_audio
from espnet_robust.plugin import checked_audio


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    checked_audio.install()
    monkeypatch.setattr(checked_audio, "_rate", 16_000)


@pytest.fixture
def scp(tmp_path):
    wav = 0.1 * np.random.default_rng(0).standard_normal(8000)
    soundfile.write(tmp_path / "u.wav", wav, 8000)
    (tmp_path / "wav.scp").write_text(f"u {tmp_path / 'u.wav'}\n")
    return tmp_path / "wav.scp"


def as_trained(scp, kind="sound"):
    return ESPnetDataset([(str(scp), "speech", kind)])["u"][1]["speech"]


def as_streamed(scp, kind="sound"):
    return next(iter(IterableESPnetDataset([(str(scp), "speech", kind)])))[1]["speech"]


@pytest.mark.parametrize("read", [as_trained, as_streamed])
def test_training_hears_what_decoding_hears(scp, read):
    found = read(scp)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, read_audio(scp.parent / "u.wav"))
    assert len(found) == 16_000


@pytest.mark.parametrize("read", [as_trained, as_streamed])
def test_arks(scp, read):
    wav, rate = soundfile.read(scp.parent / "u.wav", dtype="int16")
    kaldiio.save_ark(str(scp.parent / "a.ark"), {"u": (rate, wav)}, str(scp))
    entry = scp.read_text().split()[1]
    np.testing.assert_allclose(read(scp, "kaldi_ark"), read_audio(entry), atol=1e-6)


@pytest.mark.parametrize("read", [as_trained, as_streamed])
def test_a_file_cut_off(scp, read):
    data = (scp.parent / "u.wav").read_bytes()
    (scp.parent / "u.wav").write_bytes(data[: len(data) // 2])
    with pytest.raises(AudioError, match="u.wav: truncated"):
        read(scp)


def test_segments_are_refused(scp):
    (scp.parent / "segments").write_text("u-1 u 0 0.5\n")
    with pytest.raises(DataDirError, match="take whole recordings.*bin.cut_segments"):
        as_trained(scp)


@pytest.mark.parametrize(
    ("conf", "rate"), [({"fs": "8k"}, 8000), ({"fs": 22050}, 22050), ({}, 16_000), (None, 16_000)]
)
def test_the_rate_is_that_of_the_frontend(scp, monkeypatch, conf, rate):
    """It is noted when the task begins, before its model is built."""

    class Begun(Exception):
        pass

    def build_model(args):
        raise Begun

    monkeypatch.setattr(ASRTask, "build_model", build_model)
    args = ASRTask.get_parser().parse_args(["--token_list", "x"])
    args.frontend_conf, args.distributed = conf, False
    with pytest.raises(Begun):
        ASRTask.main_worker(args)
    assert checked_audio.rate_of(args) == rate
    np.testing.assert_array_equal(as_trained(scp), read_audio(scp.parent / "u.wav", rate=rate))
