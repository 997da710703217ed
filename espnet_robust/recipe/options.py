"""The options of run.sh as commands receive them: all are text, and any may be empty."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from espnet_robust.common.experiment import Recipe
from espnet_robust.recipe.plan import Plan


def path(text: str) -> Path | None:
    """A path option that may be empty, as options of run.sh are by default."""
    return Path(text) if text else None


# name: (default, placeholder, help); a default of None means a path that may be missing
Texts = Mapping[str, tuple[str | None, str, str]]
OF_RECIPE: Texts = {
    "budget": ("short", "NAME", "conf/budget/NAME.yaml sets the numbers of steps"),
    "distill_config": (None, "YAML", "default: the recipe's conf/distill.yaml, if any"),
    "task_config": (None, "YAML", "default: the recipe's conf/TASK.yaml, if any"),
    "classifier": ("linear", "NAME", "for cls: conf/cls/NAME.yaml"),
    "train_set": ("train", "NAME", "train on data/NAME"),
    "dev_set": ("dev", "NAME", "pick the best epoch on data/NAME"),
    "teacher": ("", "MODEL", "hub id or directory; default: the one in the YAML"),
    "train_distortion": ("", "YAML", "distil on this mixture instead of the system's"),
    "dev_distortion": ("", "YAML", "validate on this mixture; default: as in training"),
    "asr_distortion": ("", "YAML", "mixture on which recognisers and classifiers are trained, or "
                       "`train` for the recipe's own; default: clean speech"),
}  # fmt: skip
OF_PLAN: Texts = {
    "distill_set": (None, "DATA_DIR", "distil on this; default: the training set"),
    "distill_dev_set": (None, "DATA_DIR", "default: the dev set"),
    "label": ("", "TABLE", "for cls: the table with the classes"),
    "test_sets": ("test", "NAMES", "test on these sets under data/, separated by blanks"),
    "protocols": ("", "YAMLS", "protocols of their conditions, separated by blanks; or none"),
    "checkpoint": ("valid.loss.best.pth", "FILE", "model to decode with"),
    "decode_options": ("", "OPTIONS", "options of decode: its search, and --batch_seconds"),
    "score_options": ("", "OPTIONS", "options of the command score: how texts are compared"),
    "distill_args": ("", "OPTIONS", "ESPnet options for distillation"),
    "task_args": ("", "OPTIONS", "ESPnet options for the recogniser or classifier"),
    "students": (None, "DIR", "use the students of this experiment"),
}


def _add(parser: argparse.ArgumentParser, texts: Texts) -> None:
    for name, (default, metavar, text) in texts.items():
        kind = path if default is None else str
        parser.add_argument(f"--{name}", type=kind, default=default, metavar=metavar, help=text)


def add_recipe_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that decide which YAML files are read."""
    parser.add_argument(
        "--task", choices=("distill", "asr", "cls"), default="distill", help="default: %(default)s"
    )
    parser.add_argument(
        "--recipe", type=Path, default=Path(), metavar="DIR", help="default: this directory"
    )
    _add(parser, OF_RECIPE)


def recipe_of(args: argparse.Namespace) -> Recipe:
    """The recipe described by the options of ``add_recipe_options``."""
    return Recipe(
        args.recipe,
        args.distill_config,
        args.task_config,
        args.train_set,
        args.dev_set,
        args.asr_distortion,
    )


def add_plan_options(parser: argparse.ArgumentParser) -> None:
    """Add all options that decide the outputs of a recipe; see ``Plan``."""
    add_recipe_options(parser)
    parser.add_argument(
        "--exp",
        type=Path,
        default=Path("exp/short"),
        metavar="DIR",
        help="directory of the experiment",
    )
    parser.add_argument(
        "--tokens", type=Path, default=Path("data/tokens"), metavar="DIR", help="tokens or classes"
    )
    parser.add_argument(
        "--token_type", default="bpe", choices=("bpe", "char", "word"), help="kind of tokens"
    )
    _add(parser, OF_PLAN)


def plan_of(args: argparse.Namespace) -> Plan:
    """The plan described by the options of ``add_plan_options``."""
    train, dev = Path("data", args.train_set), Path("data", args.dev_set)
    return Plan(
        recipe=recipe_of(args),
        task=args.task,
        exp=args.exp,
        budget=args.budget,
        classifier=args.classifier or "linear",
        teacher=args.teacher,
        train=train,
        dev=dev,
        distill_train=args.distill_set or train,
        distill_dev=args.distill_dev_set or dev,
        train_distortion=args.train_distortion,
        dev_distortion=args.dev_distortion,
        tokens=args.tokens,
        token_type=args.token_type,
        label=args.label,
        test_sets=tuple(Path("data", name) for name in args.test_sets.split()),
        protocols=tuple(args.protocols.split()),
        checkpoint=args.checkpoint,
        decode_options=args.decode_options,
        score_options=args.score_options,
        distill_args=args.distill_args,
        task_args=args.task_args,
        students=args.students,
    )
