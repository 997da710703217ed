"""Checks of the speech that a training reads: before it begins, and file by file on the way."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from espnet2.train.dataset import AdapterForSoundScpReader, ESPnetDataset
from soundfile import SoundFileError

from espnet_robust.data.data_dir import iter_table
from espnet_robust.errors import AudioError, ConfigError, DataDirError


def check_split(
    split: str,
    sources: Sequence[tuple[str, str, str]],
    shape_files: Sequence[str],
    min_samples: int,
) -> None:
    """Check the tables of ``train`` or ``valid`` against each other and against the teacher.

    Args:
        split: names the options in messages.
        sources: (path, name, type) as ESPnet's ``--train_data_path_and_name_and_type``.
        shape_files: tables of utterance and number of samples; the first is checked.
        min_samples: what one frame needs.

    Raises:
        ConfigError: the options are missing.
        DataDirError: a table is missing or empty, or they are not of the same utterances.
        AudioError: an utterance is too short.
    """
    if [name for _, name, _ in sources] != ["speech"]:
        raise ConfigError(
            f"--{split}_data_path_and_name_and_type: need DATA_DIR/wav.scp,speech,sound, once"
        )
    if not shape_files:
        raise ConfigError(f"--{split}_shape_file: need DATA_DIR/utt2num_samples")
    table, shapes = sources[0][0], shape_files[0]
    ids = {utt for utt, _ in iter_table(table)}
    if not ids:
        raise DataDirError(f"{table}: no utterances; was the stage that makes it run?")
    empty = True
    for utt, shape in iter_table(shapes):
        empty = False
        if utt not in ids:
            raise DataDirError(f"{shapes}: utterance {utt!r} is not in {table}; make both again")
        _check_length(f"{shapes}: {utt}", shape, min_samples)
    if empty:
        raise DataDirError(f"{shapes}: no utterances; was the stage that makes it run?")


def _check_length(where: str, shape: str, min_samples: int) -> None:
    samples = shape.split(",")[0]
    if not samples.isdecimal():
        raise DataDirError(f"{where}: {shape!r} is not a number of samples")
    if int(samples) < min_samples:
        raise AudioError(
            f"{where}: {samples} samples are less than one frame ({min_samples}); "
            "remove it from the data dir"
        )


def check_audio_as_read(dataset: ESPnetDataset, rate: int) -> None:
    """Make ``dataset`` check each audio file that it reads; see ``CheckedAudio``."""
    for name, loader in dataset.loader_dict.items():
        if isinstance(loader, AdapterForSoundScpReader):
            loader.loader = CheckedAudio(loader.loader, rate, dataset.debug_info[name][0])


class CheckedAudio(Mapping):
    """ESPnet's reader of audio, which drops the sampling rate, with a check of it.

    Args:
        loader: {utterance: (rate, samples) or (samples, rate)}.
        rate: the teacher's, in Hz.
        table: the file that ``loader`` was made from.
    """

    def __init__(self, loader: Mapping, rate: int, table: str | Path):
        self.loader = loader
        self.rate = rate
        self.table = table

    def __getitem__(self, utt: str) -> tuple[int, np.ndarray]:
        """Raises AudioError: unreadable, or of another sampling rate; names file and utterance."""
        known = hasattr(self.loader, "get_path")
        where = f"{self.loader.get_path(utt) if known else self.table}: utterance {utt}"
        try:
            first, second = self.loader[utt]
        except (OSError, SoundFileError, RuntimeError, ValueError) as e:
            raise AudioError(f"{where}: cannot be read: {' '.join(str(e).split())}") from e
        rate, samples = (first, second) if isinstance(first, int) else (second, first)
        if rate != self.rate:
            raise AudioError(
                f"{where}: sampled at {rate} Hz, the teacher needs {self.rate} Hz; "
                "resample the data dir"
            )
        return rate, samples

    def __iter__(self) -> Iterator[str]:
        return iter(self.loader)

    def __len__(self) -> int:
        return len(self.loader)
