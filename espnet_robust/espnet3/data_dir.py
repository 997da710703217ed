"""A Kaldi data dir as an ESPnet3 dataset: ``data_src: espnet_robust.espnet3.data_dir``.

Batches refer to utterances by their ids (``shape_files: [data/train/utt2num_samples]``), so that no
statistics need to be collected first; inference refers to them by number.
"""

from pathlib import Path
from typing import Any

import numpy as np
from espnet3.components.data.base_dataset import BaseDataset
from espnet3.components.data.dataset_builder import DatasetBuilder as AbsBuilder
from espnet3.contract import Field

from espnet_robust.common.errors import DataDirError
from espnet_robust.data.audio import read_audio
from espnet_robust.data.data_dir import iter_table, read_data_dir


class Dataset(BaseDataset):
    """Utterances of a data dir as ``{speech, text}``, or with another table instead of text.

    Args:
        data_dir: the directory.
        table: name of a table beside ``wav.scp``, such as ``utt2label``.
        field: its name in ESPnet's task: ``text`` or ``label``.
        utt_id: whether to include the id, which inference needs and training does not accept.

    Raises:
        DataDirError: the data dir is invalid, or ESPnet3 would take an id for a number.
    """

    def __init__(
        self, data_dir: str, table: str = "text", field: str = "text", utt_id: bool = False
    ):
        self.fields = (Field("speech", "audio"), Field(field, "text"))
        if utt_id:
            self.fields += (Field("utt_id", "text"),)
        self._field, self._with_id = field, utt_id
        directory = Path(data_dir)
        self._wav = read_data_dir(directory).wav
        self._table = dict(iter_table(directory / table))
        self._ids = list(self._wav)
        for name in self._ids:
            if _is_number(name):
                raise DataDirError(
                    f"{directory}: utterance id {name!r}: ESPnet3 would take it for a number; "
                    "put the speaker before it"
                )
            if name not in self._table:
                raise DataDirError(f"{directory / table}: has no {name}; fix: remove it from "
                                   f"{directory}/wav.scp, or add its line")  # fmt: skip

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: int | str) -> dict[str, Any]:
        """The utterance with that number or id. Raises KeyError, IndexError or AudioError."""
        name = index if isinstance(index, str) else self._ids[index]
        speech = read_audio(self._wav[name]).astype(np.float32)
        item = {"speech": speech, self._field: self._table[name]}
        return item | {"utt_id": name} if self._with_id else item


class DatasetBuilder(AbsBuilder):
    """For ESPnet3's stage create_dataset; does nothing, as our recipe's stage 1 makes the data."""

    def is_source_prepared(self, **_: Any) -> bool:
        return True

    def prepare_source(self, **_: Any) -> None:
        """Nothing to do."""

    def is_built(self, **_: Any) -> bool:
        return True

    def build(self, **_: Any) -> None:
        """Nothing to do."""


def _is_number(utt_id: str) -> bool:
    try:
        int(utt_id)
    except ValueError:
        return False
    return True
