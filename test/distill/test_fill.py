"""Target caches filled before the training, by one process or as jobs."""

import os
import sys
from pathlib import Path

import pytest
import yaml

from espnet_robust.bin import fill_targets
from espnet_robust.common.errors import ConfigError
from espnet_robust.common.processes import unordered
from espnet_robust.data.data_dir import iter_wav
from espnet_robust.distill.fill import fill
from espnet_robust.distill.targets import Targets

CACHED = {"mapping": "none", "dat": "none", "fixed_crops": True, "crop_seconds": 0.5}


def content(cache: Path) -> dict[str, bytes]:
    return {str(p.relative_to(cache)): p.read_bytes() for p in cache.rglob("*.safetensors")}


def test_the_bytes_do_not_depend_on_the_parts_and_the_training_finds_them(
    teacher_dirs, data, train, tmp_path, monkeypatch
):
    teacher = str(teacher_dirs["hubert_layer_norm"])
    config = CACHED | {"teacher": teacher, "target_layers": [2, [3, 4]]}
    wavs = list(iter_wav(data))
    parts = {"one": [wavs], "three": [wavs[8:], wavs[:5], wavs[5:9]]}
    for name, of in parts.items():
        for part in of:
            fill(config | {"target_cache": str(tmp_path / name)}, 0, part)
    one = content(tmp_path / "one")
    assert len(one) == len(wavs) and content(tmp_path / "three") == one
    monkeypatch.setattr(Targets, "_ask_teachers", None)  # nothing is left to ask
    train(tmp_path / "x", **config, target_cache=str(tmp_path / "one"), seed=0, max_epoch=1)
    assert content(tmp_path / "one") == one


def test_a_cache_that_could_not_be_used_is_refused(teacher_dirs, tmp_path):
    config = {"teacher": str(teacher_dirs["hubert_layer_norm"]), "target_layers": [2]}
    with pytest.raises(ConfigError, match="random crops change in each epoch"):
        fill(config | {"mapping": "none", "target_cache": str(tmp_path)}, 0, [])


@pytest.fixture
def recipe(root, data, tmp_path, monkeypatch):
    """A directory like mini's, with the data of these tests; entered."""
    for name in ("conf", "teacher"):
        (tmp_path / name).symlink_to(root / "egs/mini/asr1" / name)
    (tmp_path / "data").mkdir()
    for name in ("train", "dev"):
        (tmp_path / "data" / name).symlink_to(data)
    cluster = {"executor": "local", "array": 2, "retries": 0}
    (tmp_path / "two.yaml").write_text(yaml.safe_dump(cluster))
    monkeypatch.chdir(tmp_path)
    path = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    monkeypatch.setenv("PYTHONPATH", path)
    return tmp_path


def options(cache: str, *more: str) -> list[str]:
    given = f"--fixed_crops true --target_cache {cache}" if cache else ""
    return [f"--distill_args={given}", "--systems", "distilhubert", "--train_distortion", "", *more]


@pytest.mark.recipe
def test_a_recipe_fills_it_with_jobs_as_by_itself(recipe, monkeypatch, capsys):
    pytest.importorskip("submitit")
    fill_targets.main(options("here"))
    cluster = ("--cluster", "two.yaml", "--jobs_dir", "jobs")
    asked = options("jobs_cache", *cluster)
    monkeypatch.setattr(sys, "argv", ["fill_targets", *asked])
    fill_targets.main([*asked, "--dry_run", "true"])
    said = capsys.readouterr().out
    assert "targets: 2 jobs to local" in said and "targets_distilhubert_seed0.12: " in said
    assert not Path("jobs_cache").exists()
    fill_targets.main(asked)
    assert len(content(Path("here"))) == 12
    assert content(Path("jobs_cache")) == content(Path("here"))
    assert Path("jobs/targets_distilhubert_seed0.0.log").is_file()


def test_processes_share_the_gpus_and_a_job_has_one(recipe, monkeypatch, capsys):
    pytest.importorskip("submitit")
    devices = []
    for number in range(5):
        monkeypatch.setattr("espnet_robust.common.processes._number", number)
        devices.append(fill_targets._device(2))
    assert devices == ["cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0"]
    assert fill_targets._device(0) == "cpu"
    spawned = unordered(fill_targets._device, [2] * 9, 2, start="spawn")
    assert set(spawned) <= {"cuda:0", "cuda:1"}
    cluster = ("--cluster", "two.yaml", "--jobs_dir", "jobs", "--ngpu", "4")
    asked = options("cache", *cluster, "--dry_run", "true")
    fill_targets.main(asked)
    said = capsys.readouterr().out
    assert said.count("--ngpu 1") == said.count("--number") == 2


def test_without_a_cache_there_is_nothing_to_do(recipe, capsys):
    fill_targets.main(options(""))
    fill_targets.main(options("", "--cluster", "two.yaml", "--jobs_dir", "jobs"))
    assert sorted(p.name for p in recipe.iterdir()) == ["conf", "data", "teacher", "two.yaml"]
    assert not capsys.readouterr().out


def test_a_mixture_that_the_training_would_refuse_is_refused_before_any_target(recipe):
    Path("slow.yaml").write_text("chain: [{name: speed, length: map}]")
    given = "--mapping setup1 --distortion slow.yaml --fixed_crops true --target_cache cache"
    with pytest.raises(ConfigError, match="speed changes the length of utterances"):
        fill_targets.main(
            [f"--distill_args={given}", "--systems", "cdm1", "--train_distortion", ""]
        )
    assert not Path("cache").exists()
