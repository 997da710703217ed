"""What a command has to decode, and what is already done. Imports neither torch nor ESPnet."""

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from espnet_robust.common.cli import Parser
from espnet_robust.common.config import read_yaml
from espnet_robust.common.errors import ConfigError
from espnet_robust.common.made_of import Output, sha256

COPY = "distortion.json"  # what a distorted copy was made of

TestSets = dict[str, dict[str, Path]]  # test set -> condition -> data dir


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of every command that decodes."""
    parser.add_argument(
        "--exp", type=Path, required=True, help="output_dir of the model's training"
    )
    parser.add_argument("--checkpoint", default="valid.loss.best.pth", help="file in --exp")
    parser.add_argument("--out", type=Path, required=True)
    _add_batch_option(parser)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--test_sets", type=Path, nargs="+", default=[], metavar="DATA_DIR",
        help="decode each with all of its conditions, DATA_DIR_CONDITION",
    )  # fmt: skip
    parser.add_argument(
        "--protocols", nargs="*", metavar="YAML",
        help="with --test_sets: of the conditions made by protocols, take only those of these; "
        "default: all",
    )  # fmt: skip
    parser.add_argument("data_dirs", type=Path, nargs="*", help="one for each condition")


def _add_batch_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--batch_seconds", type=_seconds, default=60.0, metavar="SECONDS",
        help="seconds of audio in a batch",
    )  # fmt: skip


def _seconds(text: str) -> float:
    """A finite number above 0. With NaN, which compares with nothing, all audio is one batch."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"need a number of seconds above 0, got {text!r}")
    return value


def add_search_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that decide the text."""
    parser.add_argument("--method", choices=("greedy", "beam"), default="greedy")
    parser.add_argument("--beam_size", type=int, default=10, help="with --method beam")
    parser.add_argument(
        "--ctc_weight", type=float, default=1.0,
        help="with --method beam: weight of CTC; the attention decoder gets the rest",
    )  # fmt: skip


def search_options(args: argparse.Namespace) -> dict[str, Any]:
    """The search options that matter for the given method, for ``decoded_of``.

    Raises:
        ConfigError: as for ``check_beam``.
    """
    if args.method != "beam":
        return {"method": args.method}
    check_beam(args.beam_size, args.ctc_weight)
    return {"method": args.method, "beam_size": args.beam_size, "ctc_weight": args.ctc_weight}


def check_beam(beam_size: int, ctc_weight: float) -> None:
    """Raise ConfigError if ``beam_size`` < 1 or ``ctc_weight`` is outside [0, 1]."""
    if beam_size < 1 or not 0 <= ctc_weight <= 1:
        raise ConfigError(
            f"need beam_size >= 1 and ctc_weight in 0..1, got {beam_size} and {ctc_weight}"
        )


class _OfRecipe(Parser):
    """A parser of --decode_options whose errors are the user's, in one line."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(
            f"--decode_options: {message}; they are --method, --beam_size, --ctc_weight and "
            "--batch_seconds, see espnet-robust decode --help"
        )


def parse_search_options(words: str) -> dict[str, Any]:
    """The same from a recipe's --decode_options, whose other option does not change the text.

    The remaining options of the command ``decode`` are the recipe's own to give. None may be
    abbreviated, so that what is recorded is what the command did.

    Raises:
        ConfigError: an option is unknown here, or has an invalid value.

    >>> parse_search_options("--method beam --batch_seconds 30")
    {'method': 'beam', 'beam_size': 10, 'ctc_weight': 1.0}
    """
    parser = _OfRecipe(prog="--decode_options", add_help=False, allow_abbrev=False)
    _add_batch_option(parser)
    add_search_options(parser)
    return search_options(parser.parse_args(words.split()))


def test_sets(args: argparse.Namespace, parser: argparse.ArgumentParser) -> TestSets:
    """The test sets and conditions that these options name."""
    if not (args.test_sets or args.data_dirs):
        parser.error("name data dirs, or --test_sets")
    from espnet_robust.data.conditions import by_test_set, condition_dirs

    dirs = [p for test_set in args.test_sets for p in condition_dirs(test_set, args.protocols)]
    return by_test_set([*dirs, *args.data_dirs])


def decoded_of(
    exp: Path, checkpoint: str, conditions: Mapping[str, Path], options: Mapping[str, Any]
) -> dict[str, Any]:
    """What decides the texts of a test set: the model, the search options, and the data."""
    return {
        "model": {name: sha256(exp / name) for name in ("config.yaml", checkpoint)} | _bpe(exp),
        "options": dict(options),
        **{f"condition {name}": _data_of(path) for name, path in conditions.items()},
    }


def _bpe(exp: Path) -> dict[str, str]:
    """The SentencePiece model, which joins tokens to words; it lies outside the experiment."""
    config = exp / "config.yaml"
    model = read_yaml(config).get("bpemodel") if config.is_file() else None
    return {"bpemodel": sha256(model)} if model else {}


def _data_of(data_dir: Path) -> dict[str, str]:
    """For a distorted copy, the record of what it was made of; for other data, its audio."""
    if (data_dir / COPY).is_file():
        return {name: sha256(data_dir / name) for name in (COPY, "wav.scp")}
    from espnet_robust.data.digests import OF_AUDIO, digests  # imported late: it reads all audio

    return digests(data_dir, OF_AUDIO)


def undone(
    sets: TestSets, out: Path, exp: Path, checkpoint: str, options: Mapping[str, Any]
) -> Sequence[tuple[Output, dict[str, Path]]]:
    """(output, conditions) of the test sets that are not yet in ``out``."""
    todo = []
    for name, conditions in sets.items():
        output = Output(out / name, decoded_of(exp, checkpoint, conditions, options))
        if not output.is_done():
            todo.append((output, conditions))
    return todo
