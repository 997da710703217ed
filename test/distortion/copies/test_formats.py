import sys

import kaldiio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_robust.bin import validate_data_dir
from espnet_robust.common.errors import DataDirError
from espnet_robust.data.audio import read_audio, write_audio
from espnet_robust.data.data_dir import read_data_dir, write_data_dir
from espnet_robust.distortion.copies import distort_data_dir


@pytest.mark.parametrize("format", ["wav", "ark", "flac.ark"])
def test_formats_hold_the_same_audio(digest, src, config, reference, tmp_path, format):
    distort_data_dir(src, tmp_path / "copy", config, seed=1, format=format, nj=2)
    assert digest(tmp_path / "copy") == digest(reference)
    if "ark" in format:
        table = kaldiio.load_scp(str(tmp_path / "copy" / "wav.scp"))
        rate, samples = table["s1-040"]
        assert rate == 16000
        mine = read_audio(read_data_dir(tmp_path / "copy").wav["s1-040"])
        scale = 32768 if np.issubdtype(samples.dtype, np.integer) else 1
        np.testing.assert_array_equal(samples / scale, mine)


def test_pipes_make_the_audio(src, config, reference, tmp_path):
    few = {n: dict(list(t.items())[:2]) for n, t in read_data_dir(src).tables.items()}
    write_data_dir(tmp_path / "src", few)
    distort_data_dir(tmp_path / "src", tmp_path / "copy", config, seed=1, format="pipe")
    copy, whole = read_data_dir(tmp_path / "copy"), read_data_dir(reference)
    assert not (tmp_path / "copy" / "audio").exists()
    for utt, entry in copy.wav.items():
        wav = read_audio(entry, allow_pipe=True)
        np.testing.assert_array_equal(wav, read_audio(whole.wav[utt]))
        assert copy.tables["utt2num_samples"][utt] == str(len(wav))


NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Z", "C"), exclude_characters="\x00"),
    min_size=1,
    max_size=12,
)


@settings(max_examples=15, deadline=None)
@given(ids=st.sets(NAMES | st.sampled_from(["-a", "--help", "00", "01", "..", "a/b", "%s", "$x"])))
@pytest.mark.parametrize("format", ["flac", "ark"])
def test_any_id_can_be_read_back(tmp_path_factory, format, ids):
    root = tmp_path_factory.mktemp("ids")
    tone = np.sin(np.arange(800) / 10).astype(np.float32)
    ids = sorted(ids | {"x"})
    for n, _ in enumerate(ids):
        write_audio(root / f"{n}.wav", tone / (n + 2))
    write_data_dir(root / "src", {"wav.scp": {u: f"{root}/{n}.wav" for n, u in enumerate(ids)}})
    distort_data_dir(root / "src", root / "copy", {"chain": ["clean"]}, seed=0, format=format)
    wav = read_data_dir(root / "copy").wav
    assert list(wav) == ids
    for n, utt in enumerate(ids):
        np.testing.assert_array_equal(read_audio(wav[utt]), read_audio(root / f"{n}.wav"))


def test_pipes_of_names_that_look_like_options(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    write_audio("a.wav", np.sin(np.arange(800) / 10).astype(np.float32) / 2)
    ids, name = ["-0X1juZHG6I", "--help'$(exit)"], "-a copy; exit 1"
    write_data_dir("src", {"wav.scp": dict.fromkeys(ids, "cat a.wav |")})
    options = {"format": "pipe", "allow_pipe": True, "condition": "c"}
    distort_data_dir("src", name, {"chain": ["clip"]}, seed=0, **options)
    validate_data_dir.main(["--need", "wav.scp", "--audio", "--allow_pipe", "--", name])
    with pytest.raises(DataDirError, match="a command, but only files are read"):
        validate_data_dir.main(["--need", "wav.scp", "--audio", "--", name])
