"""Who can read a copy: the table in conf/distortion/README.md, tried out."""

import re
import sys

import kaldiio
import numpy as np
import pytest
from espnet2.fileio.sound_scp import SoundScpReader
from espnet2.train.dataset import kaldi_loader

from espnet_robust.common.errors import AudioError
from espnet_robust.data.audio import read_audio
from espnet_robust.data.data_dir import read_data_dir, write_data_dir
from espnet_robust.distortion.copies import distort_data_dir
from espnet_robust.distortion.copies.formats import FORMATS

UTT = "s0-001"


def by_kaldi(scp):
    """Kaldi's own table readers, compiled."""
    native = pytest.importorskip("kaldi_native_io")
    with native.SequentialWaveReader(f"scp:{scp}") as reader:
        return {key: np.array(wave.data.numpy())[0] for key, wave in reader}[UTT]


def by_espnet(loader):
    def read(scp):
        found = loader(str(scp))[UTT]
        return found[1] if isinstance(found, tuple) else found

    return read


READERS = {
    "Kaldi": by_kaldi,
    "kaldiio": lambda scp: kaldiio.load_scp(str(scp))[UTT][1],
    "ESPnet `sound`": by_espnet(SoundScpReader),
    "ESPnet `kaldi_ark`": by_espnet(kaldi_loader),
    "here": lambda scp: read_audio(read_data_dir(scp.parent).wav[UTT]),
}


@pytest.fixture(scope="module")
def table(root):
    """{format: {reader: cell}}."""
    text = (root / "conf/distortion/README.md").read_text()
    _, _, rest = text.partition("The tools that can read a copy")
    rows = re.findall(r"^\|(.*)\|$", rest.partition("\n## ")[0], re.MULTILINE)
    head, _, *body = [[cell.strip() for cell in row.split("|")] for row in rows]
    return {row[0].strip("`"): dict(zip(head[1:], row[1:], strict=True)) for row in body}


@pytest.fixture(scope="module")
def few(src, tmp_path_factory):
    tables = {n: dict(list(t.items())[:3]) for n, t in read_data_dir(src).tables.items()}
    return write_data_dir(tmp_path_factory.mktemp("few") / "src", tables).path


def test_every_format_and_reader_is_in_the_table(table):
    assert list(table) == list(FORMATS)
    assert all(list(row) == list(READERS) for row in table.values())


@pytest.mark.parametrize("format", list(FORMATS))
def test_the_table(table, few, tmp_path, monkeypatch, format):
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    distort_data_dir(few, tmp_path / "copy", {"chain": ["clip"]}, seed=0, format=format)
    scp = tmp_path / "copy/wav.scp"
    entry = read_data_dir(tmp_path / "copy").wav[UTT]
    expected = read_audio(entry, allow_pipe=True)
    for name, read in READERS.items():
        if table[format][name] == "yes":
            wav = np.asarray(read(scp), np.float64)
            scale = 2**15 if np.abs(wav).max() > 1 else 1
            np.testing.assert_allclose(wav / scale, expected, atol=1e-7)
        else:
            with pytest.raises((AudioError, RuntimeError, OSError)):
                read(scp)
