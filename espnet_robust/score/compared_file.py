"""``compared.tsv``: the texts of utterances as they were compared, for the marks on the page.

One line per condition and utterance whose texts differ from those that scoring without options
compares: the words of the reference and of the hypothesis, between single blanks.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from espnet_robust.common.errors import UserError
from espnet_robust.common.files import write_atomic
from espnet_robust.data.conditions import read_condition
from espnet_robust.data.data_dir import iter_table
from espnet_robust.score.aligned import compared
from espnet_robust.score.decoded import Scoring

FILE = "compared.tsv"
HEADER = ("condition", "utterance", "reference", "hypothesis")

Texts = tuple[str, str]  # of the reference and of the hypothesis


def write_compared(
    path: str | Path, data_dirs: Sequence[Path], decode_dir: Path, scoring: Scoring
) -> None:
    """Write ``compared.tsv``, whole or not at all.

    Args:
        data_dirs: test sets with references.
        decode_dir: directory of the hypotheses, ``CONDITION/text``.
        scoring: how they are scored.
    """
    lines = ["\t".join(HEADER)]
    for data_dir in data_dirs:
        name = read_condition(data_dir).name
        lines += _condition(data_dir, name, decode_dir / name / scoring.table, scoring)
    write_atomic(path, "\n".join(lines) + "\n")


def _condition(data_dir: Path, name: str, decoded: Path, scoring: Scoring) -> Iterator[str]:
    usual, hyps = Scoring(scoring.system, scoring.seed), dict(iter_table(decoded))
    for utt, ref in iter_table(data_dir / scoring.table):
        texts = (ref, hyps.get(utt, ""))
        changed = compared(*texts, scoring, f"{decoded}: {utt}")
        if changed != compared(*texts, usual, ""):
            yield "\t".join([name, utt, *map(" ".join, changed)])


def read_compared(path: str | Path) -> dict[str, dict[str, Texts]]:
    """Read ``compared.tsv``: condition name -> utterance id -> texts.

    Raises:
        UserError: it cannot be read, or is not such a table.
    """
    found: dict[str, dict[str, Texts]] = {}
    try:
        # Words may hold characters at which splitlines would split.
        header, *lines = Path(path).read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as e:
        raise UserError(f"{path}: cannot be read ({e}); score again") from e
    for line in [header, *lines]:
        if line.count("\t") != len(HEADER) - 1 or header.split("\t") != [*HEADER]:
            raise UserError(f"{path}: not a table of {', '.join(HEADER)}; score again")
    for line in lines:
        name, utt, ref, hyp = line.split("\t")
        found.setdefault(name, {})[utt] = ref, hyp
    return found
