import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from espnet_robust.bin import remake_utterance
from espnet_robust.common.errors import AudioError, DataDirError
from espnet_robust.data.audio import read_audio, to_int16, write_audio
from espnet_robust.data.data_dir import read_data_dir, write_data_dir
from espnet_robust.distortion.copies import distort_data_dir, remake


def test_remade_from_its_record(reference, tmp_path):
    copy = read_data_dir(reference)
    for utt in copy.ids[::31]:
        np.testing.assert_array_equal(
            to_int16(remake(reference, utt)) / np.float32(32768), read_audio(copy.wav[utt])
        )
    utt = copy.ids[3]
    remake_utterance.main([str(reference), utt, str(tmp_path / "a.flac")])
    assert (tmp_path / "a.flac").read_bytes() == Path(copy.wav[utt]).read_bytes()
    with pytest.raises(DataDirError, match="no utterance 'nobody'"):
        remake(reference, "nobody")


def test_a_copy_cannot_permit_commands(tmp_path, capsys):
    """Whoever gives a copy away must not be able to run anything where an utterance is remade."""
    write_audio(tmp_path / "a.wav", np.zeros(16000, np.float32))
    source = f"touch {tmp_path}/was_run; cat {tmp_path}/a.wav |"
    write_data_dir(tmp_path / "src", {"wav.scp": {"a": source}})
    copy = tmp_path / "copy"
    distort_data_dir(tmp_path / "src", copy, {"chain": ["clip"]}, seed=1, allow_pipe=True)
    (tmp_path / "was_run").unlink()
    record = json.loads((copy / "distortion.json").read_text())
    for permission in (True, False):
        (copy / "distortion.json").write_text(json.dumps(record | {"allow_pipe": permission}))
        with pytest.raises(AudioError, match="only files are read"):
            remake_utterance.main([str(copy), "a", str(tmp_path / "out.wav")])
        assert not (tmp_path / "was_run").exists()
    remake_utterance.main(["--allow_pipe", str(copy), "a", str(tmp_path / "out.wav")])
    assert (tmp_path / "was_run").exists() and (tmp_path / "out.wav").exists()


def test_without_its_record_the_copy_is_made_again(tmp_path):
    write_audio(tmp_path / "a.wav", np.zeros(16000, np.float32))
    write_data_dir(tmp_path / "src", {"wav.scp": {"a": str(tmp_path / "a.wav")}})
    make = partial(distort_data_dir, tmp_path / "src", tmp_path / "copy", {"chain": ["clip"]})
    make(seed=1)
    (tmp_path / "copy/distortion.json").write_text("[]")
    with pytest.raises(DataDirError, match="distortion.json: missing or damaged; make the copy ag"):
        remake(tmp_path / "copy", "a")
    make(seed=1)
    assert len(remake(tmp_path / "copy", "a")) == 16000
    (tmp_path / "copy/utt2distortion").write_text("a []\n")
    with pytest.raises(DataDirError, match="the record of 'a' is damaged"):
        remake(tmp_path / "copy", "a")
