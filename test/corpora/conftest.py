"""Small trees in the published layouts of corpora."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_robust.bin.prepare_corpus import main
from espnet_robust.data.data_dir import DataDir, read_data_dir

SHARED = Path(__file__).resolve().parents[3] / "shared/data"


@pytest.fixture
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip("needs ../shared/data beside the checkout")
    return SHARED


@pytest.fixture
def tree(tmp_path) -> Callable:
    """tree({"a/b.wav": None, "c.csv": "text", "d.wav": {"channels": 2}}) -> root.

    Audio files hold a tenth of a second of noise, which differs from file to file and channel
    to channel. bytes are written as they are.
    """

    def build(files: dict, root: str = "corpus") -> Path:
        for n, (name, content) in enumerate(files.items()):
            path = tmp_path / root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                path.write_text(content, encoding="utf-8")
            elif isinstance(content, bytes):
                path.write_bytes(content)
            else:
                options = {"rate": 16000, "channels": 1, "samples": 1600} | (content or {})
                shape = (options["samples"], options["channels"])
                wav = np.random.default_rng(n).uniform(-0.5, 0.5, shape)
                soundfile.write(path, wav, options["rate"])
        return tmp_path / root

    return build


@pytest.fixture
def prepared(tmp_path) -> Callable:
    """prepared("esc50", "--root", root) -> {data dir's name: DataDir}."""

    def prepare(*command) -> dict[str, DataDir]:
        out = tmp_path / "data"
        main([*map(str, command), "--out", str(out)])
        dirs = sorted(p.parent for p in out.glob("*/wav.scp"))
        return {path.name: read_data_dir(path) for path in dirs}

    return prepare
