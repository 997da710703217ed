import os
import shutil

import numpy as np
import pytest

from espnet_robust.common.errors import DataDirError
from espnet_robust.data import digests as module
from espnet_robust.data.audio import write_audio
from espnet_robust.data.data_dir import write_data_dir
from espnet_robust.data.digests import OF_NOISE, OF_ROOMS, digests


@pytest.fixture
def data(tmp_path):
    for name in "ab":
        rng = np.random.default_rng(ord(name))
        write_audio(tmp_path / f"{name}.flac", rng.uniform(-0.1, 0.1, 1600).astype(np.float32))
    wav = {name: str(tmp_path / f"{name}.flac") for name in "ab"}
    write_data_dir(tmp_path / "data", {"wav.scp": wav, "text": {"a": "A", "b": "B"}})
    return tmp_path / "data"


def test_changes_with_audio_and_tables_and_nothing_else(data, tmp_path):
    first = digests(data)
    assert sorted(first) == ["audio", "text"] and digests(data, []) == {"audio": first["audio"]}
    os.utime(tmp_path / "a.flac", ns=(1, 1))
    assert digests(data) == first  # another time, the same content
    shutil.copy(tmp_path / "b.flac", tmp_path / "a.flac")
    second = digests(data)
    assert second["audio"] != first["audio"] and second["text"] == first["text"]
    (data / "text").write_text("a A\nb C\n")
    assert digests(data)["text"] != second["text"]


def test_the_place_of_the_audio_does_not_matter(data, tmp_path):
    first = digests(data)
    (tmp_path / "moved").mkdir()
    for name in "ab":
        (tmp_path / f"{name}.flac").rename(tmp_path / f"moved/{name}.flac")
    wav = {name: str(tmp_path / f"moved/{name}.flac") for name in "ab"}
    write_data_dir(data, {"wav.scp": wav, "text": {"a": "A", "b": "B"}})
    assert digests(data) == first
    wav = {"a": wav["b"], "b": wav["a"]}
    write_data_dir(data, {"wav.scp": wav, "text": {"a": "A", "b": "B"}})
    assert digests(data)["audio"] != first["audio"]


def test_audio_is_read_once(data, tmp_path, monkeypatch):
    read = []
    real = module._content
    monkeypatch.setattr(module, "_content", lambda file: read.append(file) or real(file))
    first = digests(data)
    assert len(read) == 2 and digests(data) == first and len(read) == 2
    write_data_dir(data, {"wav.scp": {"a": str(tmp_path / "a.flac")}})  # the memory outlives it
    assert digests(data) != first and len(read) == 2
    about = os.stat(tmp_path / "a.flac")
    content = bytearray((tmp_path / "a.flac").read_bytes())
    content[-1] ^= 1
    (tmp_path / "a.flac").write_bytes(content)
    os.utime(tmp_path / "a.flac", ns=(about.st_atime_ns, about.st_mtime_ns))
    known = digests(data)
    assert digests(data, read_again=True) != known  # the same size and time, another content
    (tmp_path / ".data.audio").write_text("damaged\n1 2 3\n")
    assert digests(data) == digests(data, read_again=True)


def test_arks_and_commands(data):
    found = set()
    for entry in ("x.ark:10", "x.ark:20", "cat x.flac |", "cat y.flac |"):
        (data / "wav.scp").write_text(f"a {entry}\n")
        found.add(digests(data)["audio"])
    assert len(found) == 4


def test_no_data_dir(tmp_path):
    with pytest.raises(DataDirError, match="none: no wav.scp in it; has the stage"):
        digests(tmp_path / "none")


def test_the_reverberation_times_of_rooms(data):
    (data / "utt2rt60").write_text("a 0.3\nb 0.6\n")
    before, of_any_room = digests(data, OF_ROOMS), digests(data, OF_NOISE)
    (data / "utt2rt60").write_text("a 0.6\nb 0.3\n")
    after = digests(data, OF_ROOMS)
    assert after["utt2rt60"] != before["utt2rt60"] and after["audio"] == before["audio"]
    assert digests(data, OF_NOISE) == of_any_room
