"""What a command decodes, and what of that is done already. Imports neither torch nor ESPnet."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from espnet_robust.common.made_of import digest, is_current

TestSets = dict[str, dict[str, Path]]  # test set -> condition -> data dir


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of every command that decodes."""
    parser.add_argument("--exp", type=Path, required=True, help="output_dir of the training")
    parser.add_argument("--checkpoint", default="valid.loss.best.pth", help="file in --exp")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--batch_seconds", type=float, default=60.0, help="audio in a batch")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--test_sets", type=Path, nargs="+", default=[], metavar="DATA_DIR",
        help="each with all of its conditions, DATA_DIR_CONDITION",
    )  # fmt: skip
    parser.add_argument("data_dirs", type=Path, nargs="*", help="one for each condition")


def test_sets(args: argparse.Namespace, parser: argparse.ArgumentParser) -> TestSets:
    """What these options ask to decode."""
    if not (args.test_sets or args.data_dirs):
        parser.error("name data dirs, or --test_sets")
    from espnet_robust.data.conditions import by_test_set, condition_dirs

    dirs = [path for test_set in args.test_sets for path in condition_dirs(test_set)]
    return by_test_set([*dirs, *args.data_dirs])


def decoded_of(
    exp: Path, checkpoint: str, conditions: Mapping[str, Path], options: Mapping[str, Any]
) -> dict[str, Any]:
    """What decides the texts of a test set: the model, how it is decoded, and the data."""
    return {
        "config": digest(exp / "config.yaml"),
        "checkpoint": digest(exp / checkpoint),
        "options": dict(options),
        "data": {
            name: [digest(path / file) for file in ("wav.scp", "distortion.json")]
            for name, path in conditions.items()
        },
    }


def undone(
    sets: TestSets, out: Path, exp: Path, checkpoint: str, options: Mapping[str, Any]
) -> Sequence[tuple[str, dict[str, Path], dict[str, Any]]]:
    """(test set, conditions, what decides its texts) of those that ``out`` does not hold yet."""
    todo = []
    for name, conditions in sets.items():
        made_of = decoded_of(exp, checkpoint, conditions, options)
        if not is_current(out / name / "decode.json", made_of):
            todo.append((name, conditions, made_of))
    return todo
