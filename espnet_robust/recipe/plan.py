"""The options of a run.sh, and the configuration of each of its trainings."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet_robust.common.config import read_yaml
from espnet_robust.common.espnet_args import settings_of
from espnet_robust.common.experiment import NOT_DISTILLED, Recipe, find_teacher, resolve
from espnet_robust.common.merging import Config, lay_over

DISTILL = "distill"


@dataclass(frozen=True)
class Plan:
    """The options of a run.sh that decide its outputs.

    Args:
        recipe: its directory and configurations.
        task: what the students are tested on: asr or cls.
        exp: directory of the experiment; the outputs of a system are in EXP/SYSTEM_seedN.
        budget: a YAML in conf/budget.
        classifier: for cls, a YAML in conf/cls.
        teacher: directory or hub id; "" for the one in the YAMLs.
        train, dev: data dirs for the recogniser or classifier.
        distill_train, distill_dev: data dirs to distil on.
        train_distortion, dev_distortion: YAMLs that replace the systems' mixtures, or "".
        tokens: directory of tokens or classes.
        token_type: type of a recogniser's tokens: bpe, char or word.
        label: for cls, the table with the classes.
        test_sets: data dirs of undistorted test speech.
        protocols: YAMLs with the conditions of their copies.
        checkpoint: file name of the model to decode with.
        decode_options: options of the command ``decode``.
        score_options: options of the command ``score``: how texts are compared.
        distill_args, task_args: ESPnet training options, as its commands take them.
        students: an experiment whose students are used; None: they are distilled here.
    """

    recipe: Recipe
    task: str
    exp: Path
    budget: str
    classifier: str = "linear"
    teacher: str = ""
    train: Path = Path("data/train")
    dev: Path = Path("data/dev")
    distill_train: Path = Path("data/train")
    distill_dev: Path = Path("data/dev")
    train_distortion: str = ""
    dev_distortion: str = ""
    tokens: Path = Path("data/tokens")
    token_type: str = "bpe"
    label: str = ""
    test_sets: tuple[Path, ...] = ()
    protocols: tuple[str, ...] = ()
    checkpoint: str = "valid.loss.best.pth"
    decode_options: str = ""
    score_options: str = ""
    distill_args: str = ""
    task_args: str = ""
    students: Path | None = None

    def directory(self, system: str, seed: str) -> Path:
        """The directory with the outputs of a system and seed."""
        return self.exp / f"{system}_seed{seed}"

    def student(self, system: str, seed: str) -> Path:
        """The directory of a student."""
        return self.directory(system, seed) / "student"

    def config(self, task: str, system: str, seed: str) -> Config:
        """The complete configuration of a training; ``task`` is ``distill`` or the plan's task.

        Raises:
            ConfigError: as for ``resolve``.
        """
        if task == DISTILL:
            given = self._of_distillation()
        else:
            given = lay_over(self._of_speech_model(system, seed), self._of_labels())
        text = self.distill_args if task == DISTILL else self.task_args
        given = lay_over(given, settings_of(f"{task}_args", text))
        return resolve(task, system, self.recipe, self.budget, given, self.classifier)

    def _of_distillation(self) -> Config:
        options = {
            "teacher": self.teacher,
            "distortion": self.train_distortion,
            "valid_distortion": self.dev_distortion,
        }
        given = {key: value for key, value in options.items() if value}
        return given | data_of(self.distill_train, self.distill_dev)

    def _of_speech_model(self, system: str, seed: str) -> Config:
        if system == "teacher":
            return _frontend(hf=find_teacher(self.recipe, self.teacher))
        if system in NOT_DISTILLED:
            return {}
        return _frontend(path=str(self.student(system, seed)))

    def _of_labels(self) -> Config:
        tokens = {"token_list": f"{self.tokens}/tokens.txt"}
        if self.task == "cls":
            labels = [f"{self.tokens}/train", f"{self.tokens}/dev"]
            made = read_yaml(self.tokens / "slots.yaml")
            return made | tokens | data_of(self.train, self.dev, "label", labels)
        labels = [f"{self.train}/text", f"{self.dev}/text"]
        bpemodel = f"{self.tokens}/bpe.model" if self.token_type == "bpe" else "none"
        tokens |= {"token_type": self.token_type, "bpemodel": bpemodel}
        return tokens | data_of(self.train, self.dev, "text", labels)


def data_of(
    train: Path, dev: Path, label: str = "", tables: list[str] | None = None
) -> dict[str, Any]:
    """ESPnet's data options for two data dirs: audio, and ``tables`` as labels called ``label``."""
    given: dict[str, Any] = {}
    for number, (split, data) in enumerate((("train", train), ("valid", dev))):
        sources = [[f"{data}/wav.scp", "speech", "sound"]]
        if tables:
            sources.append([tables[number], label, "text"])
        given[f"{split}_data_path_and_name_and_type"] = sources
        given[f"{split}_shape_file"] = [f"{data}/utt2num_samples"]
    return given


def _frontend(**student: str) -> Config:
    return {"frontend_conf": {"student": student}}
