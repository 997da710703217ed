import json
import re

import pytest
from PIL import Image

from espnet_robust.bin import show_distortions
from espnet_robust.common.errors import DataDirError
from espnet_robust.data.audio import read_audio
from espnet_robust.data.data_dir import read_data_dir
from espnet_robust.distortion.kinds import KINDS
from espnet_robust.distortion.show import examples


def test_every_kind_is_shown():
    shown = {step["name"] for c in examples("n", "r", "s").values() for step in c["chain"]}
    assert shown == set(KINDS) - {"clean"}
    assert "rir" not in {c["chain"][0]["name"] for c in examples("n", None, None).values()}


def test_page(material, tmp_path, capsys):
    config = {"chain": [{"one_of": ["white", "clip", "clean"]}]}
    (tmp_path / "c.yaml").write_text(json.dumps(config))
    voices = material / "voices"
    cmd = ["--config", str(tmp_path / "c.yaml"), "--draws", "3", "--utt", "spk1-0"]
    show_distortions.main([*cmd, str(voices), str(tmp_path / "page")])
    assert "4 sounds" in capsys.readouterr().out
    page = (tmp_path / "page" / "index.html").read_text()
    files = re.findall(r'<audio [^>]*src="([^"]+)"', page)
    assert files == ["00.wav", "01.wav", "02.wav", "03.wav"]
    wav = read_audio(read_data_dir(voices).wav["spk1-0"])
    for file in files:
        assert len(read_audio(tmp_path / "page" / file)) == len(wav)
    with Image.open(tmp_path / "page" / "distortions.png") as image:
        assert image.width > 500 and len(set(image.convert("L").tobytes())) > 50
    with pytest.raises(DataDirError, match="no utterance 'x'"):
        show_distortions.main(["--utt", "x", str(voices), str(tmp_path / "page")])
