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
    parser.add_argument("--budget", default="short", help="YAML of conf/budget")
    parser.add_argument("--recipe", type=Path, default=Path(), help="directory (default: this one)")
    parser.add_argument(
        "--distill_config", type=path, help="default: conf/distill.yaml of the recipe, if any"
    )
    parser.add_argument(
        "--task_config", type=path, help="default: conf/TASK.yaml of the recipe, if any"
    )
    parser.add_argument("--classifier", default="linear", help="with --task cls")
    parser.add_argument("--train_set", default="train", help="data/NAME")
    parser.add_argument("--dev_set", default="dev", help="data/NAME")
    parser.add_argument("--teacher", default="", help="hub id or directory; default: its YAML's")
    parser.add_argument("--train_distortion", default="", help="instead of the system's mixture")
    parser.add_argument("--dev_distortion", default="", help="default: that on development data")
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
    parser.add_argument("--exp", type=Path, default=Path("exp/short"), help="of the experiment")
    parser.add_argument("--distill_set", type=path, help="data dir; default: the training set")
    parser.add_argument("--distill_dev_set", type=path, help="data dir; default: the dev set")
    parser.add_argument("--tokens", type=Path, default=Path("data/tokens"), help="or classes")
    parser.add_argument("--token_type", default="bpe", choices=("bpe", "char", "word"))
    parser.add_argument("--label", default="", help="with --task cls: table with the classes")
    parser.add_argument("--test_sets", default="test", help="data/NAME, separated by blanks")
    parser.add_argument("--protocols", default="", help="YAMLs, separated by blanks; or none")
    parser.add_argument("--checkpoint", default="valid.loss.best.pth", help="to decode with")
    parser.add_argument("--decode_options", default="", help="of decode, separated by blanks")
    parser.add_argument("--distill_args", default="", help="options of ESPnet's training")
    parser.add_argument("--task_args", default="", help="likewise, of the recogniser's")
    parser.add_argument("--students", type=path, help="experiment whose students to take")


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
