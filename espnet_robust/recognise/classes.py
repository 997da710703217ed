"""Write the classes of a labelled corpus in the form that ESPnet's classification task reads."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from espnet_robust.common.errors import DataDirError
from espnet_robust.common.files import write_atomic
from espnet_robust.data.classes import Classes
from espnet_robust.data.data_dir import format_table, iter_table

UNKNOWN = "<unk>"  # ESPnet needs it last in the token list and makes no class of it


def make_classes(out: Path, table: str, train: Path, dev: Path, tests: Sequence[Path]) -> Classes:
    """Write the files that ESPnet's ``cls_train`` needs on the labels of data dirs.

    ``OUT/tokens.txt``: the classes that occur in ``train``; ``OUT/train`` and ``OUT/dev``: labels
    as tokens; ``OUT/slots.yaml``: the task's option for one slot or several.

    Raises:
        DataDirError: as for ``Classes.of``; also if there are no labels, or if a label does not
            occur in training.
    """
    labels = {path: _read(path, table) for path in (train, dev, *tests)}
    classes = Classes.of(labels[train], f"{train}/{table}")
    for path in (dev, *tests):
        for utt, label in labels[path].items():
            if unknown := classes.unknown(label):
                raise DataDirError(
                    f"{path}/{table}: {utt} has the label {label!r}, but {unknown[0]!r} does not "
                    f"occur in {train}/{table}"
                )
    kind = "multi-class" if len(classes.slots) == 1 else "multi-label"
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / "tokens.txt", "\n".join([*classes.tokens, UNKNOWN]) + "\n")
    write_atomic(out / "slots.yaml", yaml.safe_dump({"model_conf": {"classification_type": kind}}))
    for name, path in (("train", train), ("dev", dev)):
        rows = ((utt, classes.words(label)) for utt, label in labels[path].items())
        write_atomic(out / name, format_table(rows))
    return classes


def _read(path: Path, table: str) -> dict[str, str]:
    if not (path / table).is_file():
        raise DataDirError(f"{path}: no {table} in it, so it has no labels")
    return dict(iter_table(path / table))
