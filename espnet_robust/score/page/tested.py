"""``tested.json`` beside ``scores.json``: where the utterances are that were scored.

::

    {"table": "text",
     "conditions": {"clean": {"data_dir": "data/test", "decoded": "exp/a_seed0/decode/test/clean"}}}

Paths are relative to the directory in which the system was scored, as those in ``wav.scp`` are.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from espnet_robust.common.errors import UserError
from espnet_robust.common.files import read_json, write_atomic

FILE = "tested.json"


@dataclass(frozen=True)
class Tested:
    """What a system was tested on.

    Args:
        table: the table of transcripts or labels: ``text``, ``utt2label``.
        data_dirs: condition -> data dir with references and audio.
        decoded: condition -> directory with the hypotheses, in a table of the same name.
    """

    table: str
    data_dirs: Mapping[str, Path]
    decoded: Mapping[str, Path]


def write_tested(path: str | Path, tested: Tested) -> None:
    """Write ``tested.json``, whole or not at all."""
    conditions = {
        name: {"data_dir": str(directory), "decoded": str(tested.decoded[name])}
        for name, directory in tested.data_dirs.items()
    }
    content = {"table": tested.table, "conditions": conditions}
    write_atomic(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_tested(path: str | Path) -> Tested:
    """Read ``tested.json``.

    Raises:
        UserError: missing, or not such a file.
    """
    content = read_json(path)
    try:
        conditions = content["conditions"].items()
        return Tested(
            str(content["table"]),
            {name: Path(where["data_dir"]) for name, where in conditions},
            {name: Path(where["decoded"]) for name, where in conditions},
        )
    except (AttributeError, KeyError, TypeError) as e:
        raise UserError(f"{path}: not a list of what was tested; score the system again") from e
