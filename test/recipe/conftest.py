"""A recipe on a few seconds of audio whose trainings write a file instead of learning anything.

Everything else is real: configurations, copies, digests, records, refusals. What a stub training
leaves depends on its configuration and inputs, as what a real one leaves does.
"""

import hashlib
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from espnet_robust.common import experiment, made_of
from espnet_robust.common.errors import UserError
from espnet_robust.common.experiment import Recipe
from espnet_robust.data.audio import write_audio
from espnet_robust.data.data_dir import write_data_dir
from espnet_robust.distortion.protocol import make_protocol
from espnet_robust.recipe.checkpoints import BEST_STUDENT
from espnet_robust.recipe.outputs import Outputs
from espnet_robust.recipe.plan import DISTILL, Plan
from espnet_robust.recipe.training import train
from espnet_robust.recognise.tokens import make_tokens

# Reads train.yaml and writes what ESPnet would: its configuration, its best model and another.
STUB = """
import pathlib, sys
out, best = pathlib.Path(sys.argv[1]), sys.argv[2]
(out / "config.yaml").write_text((out / "train.yaml").read_text())
for name in (best, "other.pth"):
    (out / name).write_text(sys.argv[3])
"""
SYSTEMS = ("teacher", "cdm1")
SEED = "0"
RECIPE_YAML = "teacher: teacher\ntarget_layers: [1]\ndistortion: conf/distortion/own.yaml\n"
MIXTURE = "chain: [{name: noise, noise: data/noise, snr_db: 10}]\n"
DEV_MIXTURE = "chain: [{name: noise, noise: data/noise_dev, snr_db: 10}]\n"
PROTOCOL = """
conditions:
  noise: {snr_db: 10, chain: [{name: noise, noise: data/noise}]}
  clip: {chain: [{name: clip, overdrive_db: 15}]}
"""


def write_speech(name: str, ids: str, seed: int = 0) -> None:
    """data/NAME with a tenth of a second for each id."""
    folder = Path("audio") / name
    folder.mkdir(parents=True, exist_ok=True)
    tables: dict[str, dict[str, str]] = {"wav.scp": {}, "text": {}, "utt2num_samples": {}}
    for number, utt in enumerate(ids):
        rng = np.random.default_rng([seed, number])
        write_audio(folder / f"{utt}.flac", rng.uniform(-0.3, 0.3, 1600).astype(np.float32))
        row = {"wav.scp": f"{folder}/{utt}.flac", "text": "A B C", "utt2num_samples": "1600"}
        for table, entry in row.items():
            tables[table][utt] = entry
    write_data_dir(f"data/{name}", tables)


@dataclass
class Run:
    """One run.sh: its options, and what its stages did."""

    plan: Plan
    nbpe: int = 5

    def __call__(self, redo: bool = False) -> dict[str, str]:
        """{output: "kept", "made", or why it was refused}, to the first refusal."""
        did: dict[str, str] = {}
        try:
            self._copies(did)
            make_tokens(self.plan.train / "text", self.plan.tokens, "bpe", self.nbpe)
            for system in SYSTEMS:
                for name, stage in self._stages(system, redo):
                    before = made_of.gives(name)
                    is_there = (name / made_of.FILE).exists()
                    stage()
                    same = is_there and before == made_of.gives(name)
                    did[f"{system} {name.name}"] = "kept" if same and self.kept else "made"
        except UserError as e:
            did["refused"] = str(e)
        return did

    def _copies(self, did: dict[str, str]) -> None:
        for test_set in self.plan.test_sets:
            for config in self.plan.protocols if self.plan.protocols != ("none",) else ():
                times = {p: p.stat().st_ino for p in test_set.parent.glob("*_*/distortion.json")}
                for path in make_protocol(test_set, str(test_set), config, seed=0):
                    record = path / "distortion.json"
                    kept = times.get(record) == record.stat().st_ino
                    did[f"copy {path.name}"] = "kept" if kept else "made"

    def _stages(self, system: str, redo: bool):
        plan, outputs = self.plan, Outputs(self.plan)
        directory = plan.directory(system, SEED)
        if system != "teacher":
            yield (
                directory / DISTILL,
                lambda: self._train(outputs.distilled(system, SEED), DISTILL, system, redo),
            )
            yield (
                directory / "student",
                lambda: self._make(
                    outputs.student(system, SEED), "model.safetensors", "config.yaml"
                ),
            )
        yield (
            directory / "asr",
            lambda: self._train(outputs.trained(system, SEED), "asr", system, redo),
        )
        for decoded in list(outputs.decoded(system, SEED)):
            yield decoded.path, lambda d=decoded: self._make(d, "decode.json")

    def _train(self, output, task: str, system: str, redo: bool) -> None:
        best = BEST_STUDENT if task == DISTILL else self.plan.checkpoint
        self.kept = output.is_done()
        if task == DISTILL and not output.changes():
            self.kept |= Outputs(self.plan).student(system, SEED).is_done()
            if self.kept:
                return
        weights = hashlib.sha256(repr(output.made_of).encode()).hexdigest()
        command = [sys.executable, "-S", "-c", STUB, str(output.path), best, weights]
        config = self.plan.config(task, system, SEED)
        train(output, config, command, f"{task} {system}", best, redo=redo)

    def _make(self, output, *files: str) -> None:
        self.kept = output.is_done()
        if not self.kept:
            output.begin()
            for name in files:
                (output.path / name).write_text(repr(output.made_of))
            output.finish(files)

    def with_(self, nbpe: int = 5, **options) -> "Run":
        """The same with other options."""
        return Run(replace(self.plan, **options), nbpe)


@pytest.fixture
def recipe(root, tmp_path, monkeypatch) -> Callable[[], Run]:
    """A recipe's directory, entered, its data prepared; gives a run of it."""
    shutil.copytree(root / "conf", tmp_path / "checkout/conf")
    monkeypatch.setattr(experiment, "CONF", tmp_path / "checkout/conf")
    monkeypatch.setattr(experiment, "CHECKOUT", tmp_path / "checkout")
    (tmp_path / "checkout/conf/distortion/own.yaml").write_text(MIXTURE)
    directory = tmp_path / "checkout/egs/own/asr1"
    (directory / "conf").mkdir(parents=True)
    monkeypatch.chdir(directory)
    Path("conf/distill.yaml").write_text(RECIPE_YAML)
    Path("protocol.yaml").write_text(PROTOCOL)
    Path("other.yaml").write_text(PROTOCOL.replace("clip:", "clip2:"))
    Path("dev_mixture.yaml").write_text(DEV_MIXTURE)
    for number, name in enumerate(("train", "dev", "test", "noise", "noise_dev")):
        write_speech(name, "abc", seed=number)
    Path("teacher").mkdir()
    Path("teacher/config.json").write_text("{}")
    Path("teacher/model.safetensors").write_text("weights")
    return lambda: Run(
        Plan(
            Recipe(Path()), "asr", Path("exp/tiny"), "tiny", tokens=Path("data/tokens"),
            test_sets=(Path("data/test"),), protocols=("protocol.yaml",),
            dev_distortion="dev_mixture.yaml",
        )
    )  # fmt: skip
