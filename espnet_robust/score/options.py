"""How scoring compares texts: the options of the command ``score`` and of a recipe."""

import argparse
from typing import TYPE_CHECKING, NoReturn

from espnet_robust.common.cli import Parser
from espnet_robust.common.errors import ConfigError

if TYPE_CHECKING:  # NumPy: --help answers without it
    from espnet_robust.score.decoded import Scoring


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that decide which texts count as equal, and what is written beside."""
    parser.add_argument(
        "--strict",
        action="store_true",
        help="refuse utterances without hypothesis; default: their words count as deleted",
    )
    parser.add_argument(
        "--aligned", action="store_true", help="also write aligned.txt, the utterances with errors"
    )
    group = parser.add_argument_group("comparison of texts")
    group.add_argument(
        "--alignment",
        choices=["fewest", "sclite"],
        default="fewest",
        help="fewest: the fewest errors, and of such alignments one with the fewest substitutions; "
        "sclite: a substitution costs 4, an insertion or deletion 3; default: %(default)s",
    )
    group.add_argument(
        "--case", choices=["keep", "lower", "upper"], default="keep", help="default: %(default)s"
    )
    group.add_argument(
        "--punctuation", choices=["keep", "drop"], default="keep", help="default: %(default)s"
    )
    group.add_argument("--no_nfc", action="store_true", help="do not compose Unicode")
    group.add_argument("--symbols", default="", help="file of words to drop, such as <noise>")
    group.add_argument("--mapping", default="", help="file of lines FROM => TO, for words")
    group.add_argument(
        "--alternatives",
        action="store_true",
        help="references may hold {A / B}, {A / @} and optional (WORD), as for sclite -D",
    )


def scoring_of(
    args: argparse.Namespace, system: str, seed: int, task: str, label: str
) -> "Scoring":
    """The scoring that the options of ``add_options`` describe; see ``Scoring``.

    Raises:
        ConfigError: as for ``Normalisation``; or labels are to be compared as only texts are.
    """
    if label and (given := _of_texts(args)):
        raise ConfigError(
            f"{given}: for texts; labels ({label}) are right or wrong, so leave it out"
        )
    from espnet_robust.score.decoded import Scoring
    from espnet_robust.score.normalise import Normalisation

    normalisation = Normalisation(
        not args.no_nfc, args.symbols, args.mapping, args.case, args.punctuation, args.alternatives
    )
    return Scoring(system, seed, task, label, args.strict, args.alignment, normalisation)


def _of_texts(args: argparse.Namespace) -> str:
    """The first option given that has no meaning for labels; "" if there is none."""
    parser = argparse.ArgumentParser()
    add_options(parser)
    defaults = vars(parser.parse_args([]))
    changed = (name for name, default in defaults.items() if getattr(args, name) != default)
    return next((f"--{name}" for name in changed if name != "strict"), "")


class _OfRecipe(Parser):
    """A parser of --score_options whose errors are the user's, in one line."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"--score_options: {message}; espnet-robust score --help lists them")


def parse_score_options(words: str) -> argparse.Namespace:
    """The options of a recipe's --score_options, with their defaults.

    Raises:
        ConfigError: an option is unknown here, or has an invalid value.

    >>> parse_score_options("--case lower --symbols conf/nlsyms.txt").case
    'lower'
    """
    parser = _OfRecipe(prog="--score_options", add_help=False, allow_abbrev=False)
    add_options(parser)
    return parser.parse_args(words.split())


def check_score_options(words: str) -> None:
    """Check a recipe's --score_options before anything runs, and the files that they name.

    Raises:
        ConfigError: as for ``parse_score_options`` and ``scoring_of``.
    """
    scoring_of(parse_score_options(words), "", 0, "asr", "")
