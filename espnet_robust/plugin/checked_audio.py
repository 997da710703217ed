"""Make ESPnet read speech in the same way as ``read_audio``.

``install()`` puts our readers into the tables in which ESPnet looks up readers for ``sound`` and
``kaldi_ark``. It also records a model's sampling rate when its task starts, because ESPnet's
readers get only a path. So the same rules hold for a data dir in training, in collecting statistics
and in decoding: audio of another rate is resampled, truncated files are refused.
"""

import argparse
import functools
from pathlib import Path

import kaldiio
import numpy as np
from espnet2.fileio.sound_scp import SoundScpReader
from espnet2.tasks.abs_task import AbsTask
from espnet2.train import dataset, iterable_dataset
from espnet2.train.dataset import AdapterForSoundScpReader

from espnet_robust.data.audio import RATE, read_channels
from espnet_robust.data.checked_audio import CheckedAudio
from espnet_robust.data.data_dir import refuse_segments
from espnet_robust.plugin.frontend_conf import hertz

_rate = RATE  # Hz; that of the model whose task started last in this process


def install() -> None:
    """Change ESPnet's tables, once per process."""
    if dataset.DATA_TYPES["sound"]["func"] is _sound:
        return
    dataset.DATA_TYPES["sound"]["func"] = _sound
    dataset.DATA_TYPES["kaldi_ark"]["func"] = _kaldi_ark
    iterable_dataset.DATA_TYPES["sound"] = lambda entry: read_channels(entry, rate=_rate)
    iterable_dataset.DATA_TYPES["kaldi_ark"] = _one_of_an_ark
    AbsTask.main_worker = classmethod(_noting_rate(AbsTask.main_worker.__func__))
    AbsTask.build_model_from_file = classmethod(
        _noting_rate_of_result(AbsTask.build_model_from_file.__func__)
    )


def rate_of(args: argparse.Namespace) -> int:
    """The sampling rate in Hz that a task's frontend is set to; 16000 by default."""
    return hertz((getattr(args, "frontend_conf", None) or {}).get("fs", RATE))


def _noting_rate(main_worker):
    @functools.wraps(main_worker)
    def wrapper(cls, args):
        global _rate
        _rate = rate_of(args)
        return main_worker(cls, args)

    return wrapper


def _noting_rate_of_result(build):
    @functools.wraps(build)
    def wrapper(cls, *args, **kwargs):
        global _rate
        model, config = build(cls, *args, **kwargs)
        _rate = rate_of(config)
        return model, config

    return wrapper


def _sound(path: str, float_dtype: str | None = None, allow_multi_rates: bool = False):
    """Replaces ESPnet's ``sound_loader``."""
    refuse_segments(path)
    reader = CheckedAudio(SoundScpReader(path), _rate, Path(path))
    return AdapterForSoundScpReader(reader, float_dtype, allow_multi_rates=allow_multi_rates)


def _kaldi_ark(path: str, max_cache_fd: int = 0, allow_multi_rates: bool = False):
    """Replaces ESPnet's ``kaldi_loader``."""
    refuse_segments(path)
    loader = kaldiio.load_scp(path, max_cache_fd=max_cache_fd)
    reader = CheckedAudio(loader, _rate, Path(path))
    return AdapterForSoundScpReader(reader, allow_multi_rates=allow_multi_rates)


def _one_of_an_ark(entry: str) -> np.ndarray:
    found = CheckedAudio({entry: kaldiio.load_mat(entry)}, _rate, entry)[entry]
    return found if isinstance(found, np.ndarray) else found[1]
