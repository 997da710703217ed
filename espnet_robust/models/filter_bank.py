"""The input of w2v-BERT 2.0: log mel filter banks, normalised per utterance, two frames stacked.

Equal to transformers' SeamlessM4TFeatureExtractor, which takes NumPy rows one by one on the CPU;
this one takes a padded batch on any device.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.audio_utils import mel_filter_bank, window_function

from espnet_robust.models.padding import frame_mask

FRAME, HOP, FFT = 400, 160, 512  # samples: 25 ms, 10 ms at 16 kHz, and zero-padded for the FFT
STACK = 2
PREEMPHASIS = 0.97
FLOOR = 1.192092955078125e-07  # Kaldi's floor for mel energies


class FilterBank(nn.Module):
    """Waveforms to stacked, normalised log mel energies.

    Args:
        size: values in one output frame: twice the number of mel bins.
        rate: sampling rate in Hz.
    """

    filters: Tensor  # (FFT // 2 + 1, mel bins)
    window: Tensor  # (FRAME,)

    # The frames of n samples, as of two convolutions: F = (n - 400) // 160 + 1 frames of 10 ms,
    # then ceil(F / 2) = (F - 1) // 2 + 1. That is (n - 400) // 320 + 1, HuBERT's count.
    kernels = (FRAME, 1)
    strides = (HOP, STACK)

    def __init__(self, size: int, rate: int):
        super().__init__()
        filters = mel_filter_bank(
            num_frequency_bins=FFT // 2 + 1,
            num_mel_filters=size // STACK,
            min_frequency=20,
            max_frequency=rate // 2,
            sampling_rate=rate,
            mel_scale="kaldi",
            triangularize_in_mel_space=True,
        )
        window = window_function(FRAME, "povey", periodic=False)
        self.register_buffer("filters", torch.from_numpy(filters), persistent=False)
        self.register_buffer("window", torch.from_numpy(np.asarray(window)), persistent=False)

    def forward(self, wav: Tensor, lengths: Tensor | None) -> Tensor:
        """(B, N) samples in [-1, 1] -> (B, T, size) float32, zeros in the padding.

        lengths: (B,) samples, at least 400; None if no row is padded.

        Each mel bin has zero mean and unit variance over a row's own frames. If the last pair has
        only one frame, the library pads it with a constant and masks it out; here that frame is
        repeated and kept, so that the frame count equals HuBERT's.
        """
        # Float64, like the library: the log brings out bins 100 dB below the frame's loudest.
        frames = wav.double().unfold(1, FRAME, HOP) * 2**15  # Kaldi's sample scale
        frames = frames - frames.mean(-1, keepdim=True)
        previous = torch.cat([frames[..., :1], frames[..., :-1]], -1)
        spectrum = torch.fft.rfft((frames - PREEMPHASIS * previous) * self.window.double(), FFT)
        energies = torch.view_as_real(spectrum).square().sum(-1) @ self.filters.double()
        mel = energies.clamp(min=FLOOR).log()  # (B, F, bins)

        if lengths is None:
            lengths = torch.full((len(wav),), wav.shape[1], device=wav.device)
        count = (lengths - FRAME) // HOP + 1
        valid = frame_mask(mel, count)[..., None]
        count = count[:, None, None]
        mean = mel.masked_fill(~valid, 0.0).sum(1, keepdim=True) / count
        mel = (mel - mean).masked_fill(~valid, 0.0)
        variance = mel.square().sum(1, keepdim=True) / (count - 1).clamp(min=1)
        mel = mel / torch.sqrt(variance + 1e-7)

        mel = F.pad(mel, (0, 0, 0, mel.shape[1] % STACK))
        last = mel.gather(1, (count - 1).expand(-1, 1, mel.shape[-1]))
        index = torch.arange(mel.shape[1], device=mel.device)[None, :, None]
        mel = torch.where((index == count) & (count % STACK == 1), last, mel)
        return mel.unflatten(1, (-1, STACK)).flatten(2).float()
