"""Batches for pretraining: cropped and distorted utterances, their units and masks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from espnet_robust.common.errors import AudioError, DataDirError
from espnet_robust.data.audio import RATE, read_audio
from espnet_robust.data.data_dir import read_data_dir
from espnet_robust.distortion import load_distortion
from espnet_robust.models.frames import Frames
from espnet_robust.models.padding import frame_mask
from espnet_robust.models.spans import independent_spans
from espnet_robust.pretrain.config import PretrainConfig


@dataclass(frozen=True)
class Speech:
    """The utterances of several data dirs: ids, and (N,) float32 samples each."""

    ids: list[str]
    wavs: list[np.ndarray]


def read_speech(data_dirs: Sequence[Path], min_samples: int) -> Speech:
    """All audio of the data dirs, in memory.

    Raises:
        AudioError, DataDirError: audio cannot be read, or is shorter than ``min_samples``.
    """
    ids, wavs = [], []
    for data_dir in data_dirs:
        entries = read_data_dir(data_dir).wav
        for utt_id, entry in tqdm(entries.items(), desc=f"reading {data_dir}", unit="utt"):
            wav = read_audio(entry)
            if len(wav) < min_samples:
                raise DataDirError(
                    f"{data_dir}: {utt_id} has {len(wav)} samples; one frame needs {min_samples}"
                )
            ids.append(utt_id)
            wavs.append(wav)
    return Speech(ids, wavs)


class Batches:
    """Draws the batches of a run.

    Args:
        units: (T,) int64 for each utterance.
        frames: the frames of the model in training.

    Raises:
        ConfigError: the distortion cannot be read, or changes the length of utterances.
    """

    def __init__(
        self, config: PretrainConfig, speech: Speech, units: list[np.ndarray], frames: Frames
    ):
        self.config, self.speech, self.units, self.frames = config, speech, units, frames
        self.longest = int(config.max_seconds * RATE)
        self.distorter = load_distortion(config.distortion) if config.distortion else None
        if self.distorter:
            self.distorter.check_on_the_fly()
            self.distorter.check_keeps_length("their units")

    def plan(self, skip: int = 0) -> Iterator[tuple[int, list[int]]]:
        """Yield (epoch, utterances) for each batch from number ``skip`` on, without end.

        A batch holds utterances of similar length; batches are reshuffled in each epoch.
        """
        epoch = 0
        while True:
            rng = np.random.default_rng([self.config.seed, 2, epoch])
            batches = self._of_like_length(rng)
            for k in rng.permutation(len(batches)).tolist():
                if skip:
                    skip -= 1
                else:
                    yield epoch, batches[k]
            epoch += 1

    def _of_like_length(self, rng: np.random.Generator) -> list[list[int]]:
        capped = np.minimum([len(wav) for wav in self.speech.wavs], self.longest)
        budget = int(self.config.batch_seconds * RATE)
        batches: list[list[int]] = []
        batch: list[int] = []
        for i in np.lexsort((rng.random(len(capped)), capped // (RATE // 4))).tolist():
            if batch and (len(batch) + 1) * max(capped[i], capped[batch[-1]]) > budget:
                batches.append(batch)
                batch = []
            batch.append(i)
        return [*batches, batch]

    def collate(
        self, epoch: int, batch: list[int], progress: float, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Audio (B, N), lengths (B,), units (B, T) with -1 in the padding, and masked (B, T).

        Args:
            progress: progress of the training, in [0, 1], for distortions that change with it.
            rng: for crops and masks; distortions have their own, per utterance and epoch.

        Raises:
            AudioError: a distortion fails.
        """
        crops = [self._crop(i, epoch, progress, rng) for i in batch]
        lengths = torch.tensor([len(wav) for wav, _ in crops])
        frames = torch.tensor([len(u) for _, u in crops])
        padded = nn.utils.rnn.pad_sequence(
            [torch.from_numpy(wav) for wav, _ in crops], batch_first=True
        )
        unit = nn.utils.rnn.pad_sequence(
            [torch.from_numpy(u) for _, u in crops], batch_first=True, padding_value=-1
        )
        size = (len(unit), unit.shape[1])
        spans = independent_spans(rng, size, self.config.mask_prob, self.config.mask_frames)
        masked = torch.from_numpy(spans) & frame_mask(unit, frames)
        masked[:, 0] |= ~masked.any(1)  # a row without a masked frame would teach nothing
        return padded, lengths, unit, masked

    def _crop(
        self, i: int, epoch: int, progress: float, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        hop, wav = self.frames.hop, self.speech.wavs[i]
        spare = max(0, len(wav) - self.longest) // hop  # crops start on a frame
        start = int(rng.integers(spare + 1))
        wav = wav[start * hop :][: self.longest]
        units = self.units[i][start:][: self.frames.count(len(wav))]
        return self._distort(wav, self.speech.ids[i], epoch, progress), units

    def _distort(self, wav: np.ndarray, utt_id: str, epoch: int, progress: float) -> np.ndarray:
        if self.distorter is None:
            return wav
        try:
            heard, _ = self.distorter(
                wav, utt_id, seed=self.config.seed, epoch=epoch, side="pretrain", progress=progress
            )
        except AudioError as e:
            raise AudioError(f"{utt_id}: {e}") from e
        return heard
