"""The outputs of a recipe for one system and seed, and the inputs that decide each of them.

    distill/   the training of the student          stage 5
    student/   the student                                6
    asr/       the recogniser, or cls/, the classifier    7
    decode/    its texts or labels, per test set          8
    ./         scores.json; ./SET for further test sets   9

Each depends on its own options and on the output before it, so that after a change only what
depends on it is made again.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from espnet_robust.common.config import read_yaml
from espnet_robust.common.experiment import NOT_DISTILLED, find_teacher
from espnet_robust.common.made_of import STUDENT_FILES, Output, gives, sha256
from espnet_robust.common.merging import Config
from espnet_robust.data.conditions import by_test_set, condition_dirs
from espnet_robust.data.digests import OF_AUDIO, OF_NOISE, OF_ROOMS, digests
from espnet_robust.recipe.checkpoints import BEST_STUDENT
from espnet_robust.recipe.named import model_digest, named_files
from espnet_robust.recipe.plan import DISTILL, Plan
from espnet_robust.recipe.recorded import as_recorded, decisive
from espnet_robust.recognise.job import decoded_of, parse_search_options
from espnet_robust.score.decoded import scored_of
from espnet_robust.score.options import parse_score_options, scoring_of

MIXTURES = ("distortion", "valid_distortion")


class Outputs:
    """The outputs of a plan; digests of data dirs are computed once."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self._known: dict[tuple[Path, tuple[str, ...]], dict[str, str]] = {}

    def distilled(self, system: str, seed: str) -> Output:
        """The training of a student.

        Raises:
            UserError: data, a mixture, the teacher or a file that an option names is missing.
        """
        config = self.plan.config(DISTILL, system, seed)
        teachers = config["teacher"] if isinstance(config["teacher"], list) else [config["teacher"]]
        made_of = {
            "config": decisive(config),
            "seed": seed,
            **self._data(self.plan.distill_train, self.plan.distill_dev),
            **drawn_from(config, self._digests),
            **{f"teacher {teacher}": model_digest(teacher) for teacher in teachers},
            **named_files(config, [str(self.plan.distill_train), str(self.plan.distill_dev)]),
        }
        return self._training(DISTILL, system, seed, made_of)

    def student(self, system: str, seed: str) -> Output:
        """The student exported from a training."""
        training = self.plan.directory(system, seed) / DISTILL
        return Output(self.plan.student(system, seed), student_of(training, BEST_STUDENT))

    def trained(self, system: str, seed: str) -> Output:
        """The recogniser or classifier on a student, a teacher or a filter bank.

        Raises:
            UserError: as for ``distilled``, or there is no student.
        """
        plan = self.plan
        config = plan.config(plan.task, system, seed)
        made_of = {
            "config": decisive(config),
            "seed": seed,
            **self._data(plan.train, plan.dev),
            **drawn_from(config.get("preprocessor_conf") or {}, self._digests),
            "labels": {name: sha256(name) for name in _label_files(config)},
        }
        known = [str(plan.train), str(plan.dev)]
        if system == "teacher":
            teacher = find_teacher(plan.recipe, plan.teacher)
            made_of[f"teacher {teacher}"] = model_digest(teacher)
            known.append(teacher)
        elif system not in NOT_DISTILLED:
            student = plan.student(system, seed)
            made_of["student"] = {name: sha256(student / name) for name in STUDENT_FILES}
            known.append(str(student))
        return self._training(plan.task, system, seed, made_of | named_files(config, known))

    def decoded(self, system: str, seed: str) -> Iterator[Output]:
        """Yield the decoding output of each test set."""
        plan = self.plan
        options = parse_search_options(plan.decode_options)
        if plan.task == "cls":
            options = {"table": plan.label}
        directory = plan.directory(system, seed)
        for name, conditions in self.conditions():
            made_of = decoded_of(directory / plan.task, plan.checkpoint, conditions, options)
            yield Output(directory / "decode" / name, made_of)

    def scored(self, system: str, seed: str) -> Iterator[Output]:
        """Yield the scores of each test set."""
        plan = self.plan
        directory = plan.directory(system, seed)
        options = parse_score_options(plan.score_options)
        scoring = scoring_of(options, system, int(seed), plan.task, plan.label)
        for number, (name, conditions) in enumerate(self.conditions()):
            made_of = scored_of(conditions, directory / "decode" / name, scoring)
            yield Output(directory / name if number else directory, made_of)

    def conditions(self) -> Iterator[tuple[str, Mapping[str, Path]]]:
        """Yield (test set, {condition: data dir}) for everything that this plan tests."""
        for test_set in self.plan.test_sets:
            yield from by_test_set(condition_dirs(test_set, self.plan.protocols)).items()

    def _training(self, task: str, system: str, seed: str, made_of: dict[str, Any]) -> Output:
        path = self.plan.directory(system, seed) / task
        return Output(path, as_recorded(path, made_of, self.plan.tokens, self.plan.label))

    def _data(self, *data_dirs: Path) -> dict[str, Any]:
        """What training reads from data dirs, except labels."""
        return {str(path): self._digests(path, OF_AUDIO) for path in data_dirs}

    def _digests(self, path: Path, tables: tuple[str, ...]) -> dict[str, str]:
        """Digests, computed once per command, since its inputs do not change while it runs."""
        if (path, tables) not in self._known:
            self._known[path, tables] = digests(path, tables)
        return self._known[path, tables]


def pretrained(config: Path, data_dirs: Sequence[Path], out: Path) -> Output:
    """A teacher that is pretrained on data dirs, from the YAML of one round.

    Raises:
        UserError: the YAML, data, noises or the model that it starts from are missing.
    """
    content = read_yaml(config)
    made_of: dict[str, Any] = {"config": content}
    made_of |= {str(path): digests(path, OF_AUDIO) for path in data_dirs}
    made_of |= drawn_from(content, digests)
    units = content.get("units")
    source = units.get("from", "mfcc") if isinstance(units, dict) else "mfcc"
    for name in filter(None, (content.get("init"), None if source == "mfcc" else source)):
        made_of[f"model {name}"] = model_digest(str(name))
    return Output(out, made_of)


def student_of(training: Path, checkpoint: str) -> dict[str, Any]:
    """What decides a student: the result of its distillation, even if that is no longer there."""
    given = gives(training) or {checkpoint: sha256(training / checkpoint)}
    return {"checkpoint": checkpoint, "distill": given}


def drawn_from(
    config: Mapping[str, Any], digests: Callable[[Path, tuple[str, ...]], dict[str, str]]
) -> dict[str, Any]:
    """The mixtures of a configuration that are named by file, and the noises and rooms in them."""
    from espnet_robust.distortion.config import given_config, load_distortion  # SciPy: seconds

    found: dict[str, Any] = {}
    mixtures = {key: config.get(key) for key in MIXTURES}
    mixtures["erase"] = (config.get("erase") or {}).get("distortion")
    for key, mixture in mixtures.items():
        if isinstance(mixture, str):
            found[key] = given_config(mixture)[0]
        if mixture:
            # If rooms are not drawn by their RT60, the table of these decides nothing.
            tables = OF_ROOMS if _gives(given_config(mixture)[0], "rt60") else OF_NOISE
            for path in sorted(load_distortion(mixture).data_dirs):
                of_path = found.setdefault(f"drawn from {path}", {})
                of_path |= digests(Path(path), tables)
    return found


def _gives(content: Any, key: str) -> bool:
    """Whether a mapping somewhere in the content of a YAML file gives a value to ``key``."""
    if isinstance(content, Mapping):
        return content.get(key) is not None or any(_gives(v, key) for v in content.values())
    return isinstance(content, list) and any(_gives(one, key) for one in content)


def _label_files(config: Config) -> list[str]:
    """Label files, whose content is part of what a training learns."""
    found = [config.get("token_list"), config.get("bpemodel")]
    for split in ("train", "valid"):
        sources = config.get(f"{split}_data_path_and_name_and_type") or []
        found += [path for path, _, kind in sources if kind == "text"]
    return [name for name in found if isinstance(name, str) and name != "none"]
