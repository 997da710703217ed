"""Denoising head: predict the clean speech from the student's states for distorted speech.

RobustDistiller (arXiv:2302.09437) adds enhancement of distorted speech as a second task. Here a
linear head predicts the clean crop's log-mel spectrum, frame by frame. Like the other heads, it is
dropped after distillation.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.audio_utils import mel_filter_bank, window_function

from espnet_robust.models.padding import valid_frames
from espnet_robust.models.speech_model import SpeechModel, normalize_waveform

FLOOR = 1e-5  # 50 dB below an FFT bin of white noise with the level of the utterance


class LogMel(nn.Module):
    """Log mel energies on the frames of a speech model.

    Frame t covers the samples that the model's frame t covers: ``field`` samples from ``t * hop``
    on, with a Hann window. Stacked convolutions without padding have (n - field) // hop + 1 frames.

    Args:
        rate: sampling rate in Hz.
        field, hop: samples.
        bins: mel bands from 0 to half the sampling rate.
    """

    def __init__(self, rate: int, field: int, hop: int, bins: int):
        super().__init__()
        self.hop = hop
        self.fft = 1 << (field - 1).bit_length()  # the next power of two
        filters = mel_filter_bank(
            num_frequency_bins=self.fft // 2 + 1,
            num_mel_filters=bins,
            min_frequency=0.0,
            max_frequency=rate / 2,
            sampling_rate=rate,
        )
        window = window_function(field, "hann")
        # White noise of unit variance has a mean energy of 1 in each FFT bin.
        window = window / np.sqrt(np.square(window).sum())
        self.register_buffer("filters", torch.from_numpy(filters).float(), persistent=False)
        self.register_buffer("window", torch.from_numpy(window).float(), persistent=False)

    def forward(self, wav: Tensor, lengths: Tensor) -> Tensor:
        """(B, N) samples, lengths (B,) -> (B, T, bins) natural logs.

        Each row is first scaled to zero mean and unit variance over its own samples, because the
        level of an utterance need not be learned. Frames that reach past a row's length are
        undefined.
        """
        wav = normalize_waveform(wav, lengths)
        frames = wav.unfold(1, len(self.window), self.hop) * self.window
        power = torch.view_as_real(torch.fft.rfft(frames, self.fft)).square().sum(-1)
        return (power @ self.filters + FLOOR).log()


class Denoiser(nn.Module):
    """Predicts the log-mel spectrum of the clean crop from the student's last layer.

    An auxiliary loss, see ``losses.AuxiliaryLoss``.

    Args:
        student: its size and frames are used.
        bins: number of mel bands. With 40, none falls between two bins of a 512-point FFT.
    """

    key = "denoiser"
    needs = ("clean_speech",)

    def __init__(self, student: SpeechModel, bins: int = 40):
        super().__init__()
        self.log_mel = LogMel(student.rate, student.min_samples, student.hop, bins)
        self.head = nn.Linear(student.hidden_size, bins)

    def forward(
        self, frames: Tensor, lengths: Tensor, counts: Tensor, clean_speech: Tensor
    ) -> Tensor:
        """mean |predicted - clean log-mel|, in nepers of energy, over frames and bands.

        Args:
            frames: (N, D) valid frames of the student's last layer, N = sum(counts).
            lengths: (B,) samples.
            counts: (B,) frames.
            clean_speech: (B, samples), the undistorted crop that both views are made from.
        """
        with torch.no_grad():
            wanted = self.log_mel(clean_speech[:, : int(lengths.max())], lengths)
        return F.l1_loss(self.head(frames).float(), valid_frames(wanted, counts))
