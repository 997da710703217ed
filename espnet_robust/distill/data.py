"""Check the speech for a training: its tables before it begins, each file when it is read."""

from collections.abc import Sequence

from espnet2.train.dataset import AdapterForSoundScpReader, ESPnetDataset

from espnet_robust.common.errors import AudioError, ConfigError, DataDirError
from espnet_robust.data.checked_audio import CheckedAudio
from espnet_robust.data.data_dir import iter_table, refuse_segments


def check_split(
    split: str,
    sources: Sequence[tuple[str, str, str]],
    shape_files: Sequence[str],
    min_samples: int,
) -> None:
    """Check that the tables of ``train`` or ``valid`` agree and that utterances are long enough.

    Args:
        split: ``train`` or ``valid``, for messages.
        sources: (path, name, type) from ESPnet's ``--train_data_path_and_name_and_type``.
        shape_files: tables of utterance and number of samples; the first is checked.
        min_samples: samples needed for one frame.

    Raises:
        ConfigError: the options are missing.
        DataDirError: a table is missing or empty, the tables have different utterances, an
            utterance is too short, or there are ``segments``.
    """
    if [name for _, name, _ in sources] != ["speech"]:
        raise ConfigError(
            f"--{split}_data_path_and_name_and_type: need DATA_DIR/wav.scp,speech,sound, once"
        )
    if not shape_files:
        raise ConfigError(f"--{split}_shape_file: need DATA_DIR/utt2num_samples")
    table, shapes = sources[0][0], shape_files[0]
    refuse_segments(table)  # else its shapes, of segments, would seem to be what is wrong
    ids = {utt for utt, _ in iter_table(table)}
    if not ids:
        raise DataDirError(f"{table}: no utterances; has the stage that makes it been run?")
    empty = True
    for utt, shape in iter_table(shapes):
        empty = False
        if utt not in ids:
            raise DataDirError(f"{shapes}: utterance {utt!r} is not in {table}; make both again")
        _check_length(f"{shapes}: {utt}", shape, min_samples)
    if empty:
        raise DataDirError(f"{shapes}: no utterances; has the stage that makes it been run?")


def _check_length(where: str, shape: str, min_samples: int) -> None:
    samples = shape.split(",")[0]
    if not samples.isdecimal():
        raise DataDirError(f"{where}: {shape!r} is not a number of samples")
    if int(samples) < min_samples:
        raise AudioError(
            f"{where}: {samples} samples, less than one frame ({min_samples}); "
            "remove it from the data dir"
        )


def check_audio_as_read(dataset: ESPnetDataset, rate: int) -> None:
    """Make ``dataset`` check each audio file that it reads; see ``CheckedAudio``."""
    for name, loader in dataset.loader_dict.items():
        table = dataset.debug_info[name][0]
        if isinstance(loader, AdapterForSoundScpReader):
            refuse_segments(table)
            loader.loader = CheckedAudio(loader.loader, rate, table)
