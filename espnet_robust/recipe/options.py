"""The options of run.sh as commands take them, all of them text and any of them empty."""

import argparse
from pathlib import Path

from espnet_robust.common.experiment import Recipe
from espnet_robust.recipe.plan import Plan


def path(text: str) -> Path | None:
    """An option that may be empty, as options of run.sh are that nobody gave."""
    return Path(text) if text else None


def add_recipe_options(parser: argparse.ArgumentParser) -> None:
    """What decides which YAML files are read."""
    parser.add_argument("--task", choices=("distill", "asr", "cls"), default="distill")
    parser.add_argument(
        "--budget",
        default="short",
        metavar="NAME",
        help="conf/budget/NAME.yaml sets numbers of steps",
    )
    parser.add_argument(
        "--recipe",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="the recipe (default: this directory)",
    )
    parser.add_argument(
        "--distill_config",
        type=path,
        metavar="YAML",
        help="default: the recipe's conf/distill.yaml, if any",
    )
    parser.add_argument(
        "--task_config",
        type=path,
        metavar="YAML",
        help="default: the recipe's conf/TASK.yaml, if any",
    )
    parser.add_argument(
        "--classifier", default="linear", metavar="NAME", help="for cls: conf/cls/NAME.yaml"
    )
    parser.add_argument("--train_set", default="train", metavar="NAME", help="train on data/NAME")
    parser.add_argument(
        "--dev_set", default="dev", metavar="NAME", help="pick the best epoch on data/NAME"
    )
    parser.add_argument(
        "--teacher", default="", help="hub id or directory; default: the one in the YAML"
    )
    parser.add_argument(
        "--train_distortion",
        default="",
        metavar="YAML",
        help="distil on this mixture instead of the system's",
    )
    parser.add_argument(
        "--dev_distortion",
        default="",
        metavar="YAML",
        help="validate on this mixture; default: as in training",
    )
    parser.add_argument(
        "--asr_distortion",
        default="",
        help="with asr and cls: YAML of what is heard in training, or train: the recipe's mixture",
    )


def recipe_of(args: argparse.Namespace) -> Recipe:
    """The recipe that ``add_recipe_options`` describes."""
    return Recipe(
        args.recipe,
        args.distill_config,
        args.task_config,
        args.train_set,
        args.dev_set,
        args.asr_distortion,
    )


def add_plan_options(parser: argparse.ArgumentParser) -> None:
    """All that decides the outputs of a recipe; see ``Plan``."""
    add_recipe_options(parser)
    parser.add_argument(
        "--exp", type=Path, default=Path("exp/short"), metavar="DIR", help="where the experiment is"
    )
    parser.add_argument(
        "--distill_set",
        type=path,
        metavar="DATA_DIR",
        help="distil on this; default: the training set",
    )
    parser.add_argument(
        "--distill_dev_set", type=path, metavar="DATA_DIR", help="default: the dev set"
    )
    parser.add_argument(
        "--tokens", type=Path, default=Path("data/tokens"), metavar="DIR", help="tokens or classes"
    )
    parser.add_argument("--token_type", default="bpe", choices=("bpe", "char", "word"))
    parser.add_argument(
        "--label", default="", metavar="TABLE", help="for cls: the table that holds the classes"
    )
    parser.add_argument(
        "--test_sets",
        default="test",
        metavar="NAMES",
        help="test on data/NAME, separated by blanks",
    )
    parser.add_argument(
        "--protocols",
        default="",
        metavar="YAMLS",
        help="their conditions, separated by blanks; or none",
    )
    parser.add_argument(
        "--checkpoint", default="valid.loss.best.pth", metavar="FILE", help="model to decode with"
    )
    parser.add_argument(
        "--decode_options", default="", metavar="OPTIONS", help="how to decode: options of decode"
    )
    parser.add_argument(
        "--distill_args", default="", metavar="OPTIONS", help="ESPnet's, for distillation"
    )
    parser.add_argument(
        "--task_args",
        default="",
        metavar="OPTIONS",
        help="ESPnet's, for the recogniser or classifier",
    )
    parser.add_argument(
        "--students", type=path, metavar="DIR", help="take the students of this experiment"
    )


def plan_of(args: argparse.Namespace) -> Plan:
    """The plan that ``add_plan_options`` describes."""
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
        distill_args=args.distill_args,
        task_args=args.task_args,
        students=args.students,
    )
