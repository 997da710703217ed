"""Files that are made: kept with their plan, or made again."""

import numpy as np
import pytest

from espnet_robust.corpora import synthesis
from espnet_robust.corpora.synthesis import make_files

ITEMS = [{"id": name, "file": f"{name}.flac", "seed": seed} for seed, name in enumerate("ab")]


def noise(item: dict) -> np.ndarray:
    return np.random.default_rng(item["seed"]).normal(0, 0.1, 1600).astype(np.float32)


def made(directory, items=ITEMS) -> dict[str, bytes]:
    files = make_files(noise, items, directory, nj=1, label="noise", together="id")
    return {utt: file.path.read_bytes() for utt, file in files.items()}


def test_killed_while_files_of_another_plan_are_removed(tmp_path, monkeypatch):
    other = [item | {"seed": 9} for item in ITEMS]
    first = made(tmp_path / "audio")

    def killed(directory):
        (directory / "plan.jsonl").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(synthesis.shutil, "rmtree", killed)
        made(tmp_path / "audio", other)
    second = made(tmp_path / "audio", other)
    assert second["a"] == second["b"] != first["a"]
    assert made(tmp_path / "audio") == first
    assert [path.name for path in tmp_path.iterdir()] == ["audio"]
