"""Normalise references and hypotheses before they are compared; by default almost nothing changes.

Unicode is converted to NFC, so that an accented letter is one character however it was typed.
Everything else is an option and is recorded in ``scores.json``, because systems can only be
compared if they were scored in the same way.
"""

import itertools
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from espnet_robust.common.errors import ConfigError
from espnet_robust.common.made_of import sha256
from espnet_robust.data.words import words

CASES = ("keep", "lower", "upper")
PUNCTUATION = ("keep", "drop")
_APOSTROPHES = ("'", "\u2019")  # within a word they are letters: don't, l'eau


@dataclass(frozen=True)
class Normalisation:
    """Options of scoring; the order is that in which they are applied.

    Args:
        nfc: compose Unicode, in the texts and in both files.
        symbols: file of non-linguistic symbols, one a line (``<noise>``, ``[laughter]``): words
            that are dropped.
        mapping: file of lines ``FROM => TO``: words, or several in a row, to be written otherwise;
            an empty TO drops them. Longer ones come first.
        case: ``keep``, ``lower`` or ``upper``.
        punctuation: ``keep``, or ``drop``: Unicode's punctuation, but apostrophes within words.
        alternatives: a reference may offer readings, as sclite's do: ``{A / B}``, where ``@`` is
            nothing, and optional words, ``(A) (B)``, no errors if they are left out.

    Raises:
        ConfigError: a file cannot be read, or one of its lines is invalid.
    """

    nfc: bool = True
    symbols: str = ""
    mapping: str = ""
    case: str = "keep"
    punctuation: str = "keep"
    alternatives: bool = False
    _steps: tuple[Callable[[str], str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, known in (("case", CASES), ("punctuation", PUNCTUATION)):
            if getattr(self, name) not in known:
                raise ConfigError(f"{name}: need {' or '.join(known)}, not {getattr(self, name)!r}")
        steps: list[Callable[[str], str]] = []
        if self.nfc:
            steps.append(lambda text: unicodedata.normalize("NFC", text))
        if self.symbols:
            dropped = frozenset(_composed(_read(self.symbols), self.nfc).split())
            steps.append(lambda text: " ".join(w for w in words(text) if w not in dropped))
        if self.mapping:
            steps.append(_mapped(read_mapping(self.mapping, self.nfc)))
        if self.case != "keep":
            steps.append(str.lower if self.case == "lower" else str.upper)
        if self.punctuation == "drop":
            steps.append(without_punctuation)
        object.__setattr__(self, "_steps", tuple(steps))

    def __call__(self, text: str) -> str:
        """The text in the form in which it is scored."""
        for step in self._steps:
            text = step(text)
        return text

    def record(self) -> dict[str, Any]:
        """The options that differ from the defaults; for a file, its name and digest."""
        defaults = Normalisation()
        options = {k: v for k, v in asdict(self).items() if not k.startswith("_")}
        changed = {k: v for k, v in options.items() if v != getattr(defaults, k)}
        for name in ("symbols", "mapping"):
            if name in changed:
                changed[name] = f"{Path(changed[name]).name} {sha256(changed[name])[:12]}"
        return changed


def read_mapping(path: str | Path, nfc: bool = True) -> dict[tuple[str, ...], str]:
    """``FROM => TO`` in each line; blank lines and those that begin with ``;;`` are skipped.

    Args:
        nfc: compose Unicode, as it is done with the texts.

    Raises:
        ConfigError: the file is missing, a line has no ``=>`` or no FROM, or a FROM occurs twice.
    """
    found: dict[tuple[str, ...], str] = {}
    for number, line in enumerate(_read(path).splitlines(), 1):
        if not line.strip() or line.startswith(";;"):
            continue
        before, arrow, after = line.partition("=>")
        key = tuple(words(_composed(before, nfc)))
        if not arrow or not key:
            raise ConfigError(f"{path}:{number}: need FROM => TO, found {line.strip()!r}")
        if key in found:
            raise ConfigError(f"{path}:{number}: {' '.join(key)!r} is mapped twice")
        found[key] = " ".join(words(_composed(after, nfc)))
    return found


def without_punctuation(text: str) -> str:
    """Drop punctuation; where words have nothing but punctuation between them, leave a blank.

    >>> without_punctuation("Well, don't -- 'stop'! Twenty-one...two")
    "Well don't  stop Twenty one two"
    """
    runs = ["".join(run) for _, run in itertools.groupby(text, _is_punctuation)]
    kept = []
    for n, run in enumerate(runs):
        if not _is_punctuation(run[0]):
            kept.append(run)
        elif 0 < n < len(runs) - 1 and not (runs[n - 1][-1].isspace() or runs[n + 1][0].isspace()):
            kept.append(run if run in _APOSTROPHES else " ")
    return "".join(kept)


def _is_punctuation(char: str) -> bool:
    return unicodedata.category(char).startswith("P")


def _mapped(mapping: Mapping[tuple[str, ...], str]) -> Callable[[str], str]:
    by_first: dict[str, list[tuple[str, ...]]] = {}
    for key in sorted(mapping, key=len, reverse=True):
        by_first.setdefault(key[0], []).append(key)

    def apply(text: str) -> str:
        tokens, out, n = words(text), [], 0
        while n < len(tokens):
            keys = by_first.get(tokens[n], ())
            key = next((k for k in keys if tuple(tokens[n : n + len(k)]) == k), None)
            out.append(mapping[key] if key else tokens[n])
            n += len(key) if key else 1
        return " ".join(filter(None, out))

    return apply


def _composed(text: str, nfc: bool) -> str:
    return unicodedata.normalize("NFC", text) if nfc else text


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as e:
        raise ConfigError(f"{path}: cannot be read: {e.strerror}") from e
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text") from None
