"""A speech encoder for devices: a log-mel filter bank as part of the graph, then a transformer.

The seven convolutions of HuBERT are two thirds of a small student's arithmetic. This front end
needs a hundredth of that and has no weights to train. ``architectures`` registers the model with
transformers as model type ``log_mel``. Student directories hold a copy of this file, with which
plain transformers loads them, so it imports nothing from this package.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import HubertConfig, HubertModel
from transformers.models.hubert.modeling_hubert import (
    HubertEncoder,
    HubertEncoderStableLayerNorm,
    HubertFeatureProjection,
    HubertPreTrainedModel,
)

CENTRE, SPREAD = 3.0, 4.0  # for log energies; fixed, so that frames do not depend on each other


class LogMelConfig(HubertConfig):
    """HuBERT's configuration, with two "convolutions" that describe the filter bank's frames.

    ``conv_kernel[0]``: samples per window; ``conv_stride``: samples from one window to the next,
    and windows stacked into a frame; ``conv_dim``: filters, and filters times windows per frame.
    """

    model_type = "log_mel"

    conv_dim: list[int] | tuple[int, ...] = (80, 160)
    conv_kernel: list[int] | tuple[int, ...] = (400, 1)
    conv_stride: list[int] | tuple[int, ...] = (160, 2)
    feat_extract_norm: str = "layer"
    feat_proj_layer_norm: bool = False
    sampling_rate: int = 16000

    def __post_init__(self, **kwargs):
        super().__post_init__(**kwargs)
        (bins, size), stack = self.conv_dim, self.conv_stride[1]
        if size != bins * stack or self.conv_kernel[1] != 1:
            raise ValueError(
                f"conv_dim: {list(self.conv_dim)}: the second number must be {stack} (windows per "
                "frame) times the first; conv_kernel: the second number must be 1"
            )


class LogMel(nn.Module):
    """Waveforms to stacked log mel energies, on O'Shaughnessy's (HTK's) mel scale, Hann window."""

    floor = 1e-3  # added to energies: 57 dB below white noise of the utterance's power

    dft: Tensor  # (2 * frequencies, 1, window): cosines, then sines
    filters: Tensor  # (filters, frequencies)

    def __init__(self, config: LogMelConfig):
        super().__init__()
        self.window, self.hop = config.conv_kernel[0], config.conv_stride[0]
        self.stack, self.bins = config.conv_stride[1], config.conv_dim[0]
        self.rate = config.sampling_rate
        frequencies = self.window // 2 + 1
        # Not in checkpoints; ``_init_weights`` fills them once their memory is allocated.
        self.register_buffer("dft", torch.empty(2 * frequencies, 1, self.window), persistent=False)
        self.register_buffer("filters", torch.empty(self.bins, frequencies), persistent=False)
        if not self.dft.is_meta:
            self.fill()

    def fill(self) -> None:
        """Compute the transform and the filters."""
        time = torch.arange(self.window, dtype=torch.float64)
        frequencies = torch.arange(self.window // 2 + 1, dtype=torch.float64)
        angle = 2 * math.pi * frequencies[:, None] * time / self.window
        waves = torch.cat([angle.cos(), angle.sin()]) * torch.hann_window(self.window).double()
        edges = torch.linspace(_mel(20.0), _mel(self.rate / 2), self.bins + 2, dtype=torch.float64)
        edges = 700 * (torch.exp(edges / 1127) - 1)
        hertz = frequencies * self.rate / self.window
        low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
        rising, falling = (hertz - low) / (centre - low), (high - hertz) / (high - centre)
        with torch.no_grad():
            self.dft.copy_(waves[:, None])
            self.filters.copy_(torch.minimum(rising, falling).clamp(min=0.0))

    def forward(self, wav: Tensor) -> Tensor:
        """(B, N) samples -> (B, filters * stack, T), with the windows of a filter side by side.

        T is HuBERT's frame count; a window that begins within the last frame and ends beyond the
        samples is padded with zeros.
        """
        return self.windows(F.pad(wav, (0, self.hop * (self.stack - 1))))

    def windows(self, wav: Tensor) -> Tensor:
        """Like ``forward``, for complete windows only."""
        x = wav[:, None]
        real, imaginary = F.conv1d(x, self.dft, stride=self.hop).chunk(2, dim=1)
        energies = self.filters @ (real.square() + imaginary.square())
        mel = ((energies + self.floor).log() - CENTRE) / SPREAD
        whole = mel.shape[-1] // self.stack * self.stack
        rows, bins = mel.shape[0], self.bins
        frames = mel[..., :whole].reshape(rows, bins, -1, self.stack)
        return frames.transpose(2, 3).reshape(rows, bins * self.stack, -1)


def _mel(hertz: float) -> float:
    return 1127 * math.log1p(hertz / 700)


class LogMelModel(HubertModel):
    """HuBERT with filter banks instead of convolutions; ``forward`` and masking are HuBERT's."""

    config_class = LogMelConfig

    def __init__(self, config: LogMelConfig):
        # HuBERT's own constructor would build its convolutions.
        HubertPreTrainedModel.__init__(self, config)
        self.feature_extractor = LogMel(config)
        self.feature_projection = HubertFeatureProjection(config)
        if config.mask_time_prob > 0.0:
            self.masked_spec_embed = nn.Parameter(torch.empty(config.hidden_size))
        stable = config.do_stable_layer_norm
        self.encoder = (HubertEncoderStableLayerNorm if stable else HubertEncoder)(config)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, LogMel):
            module.fill()  # transformers builds models on the meta device, then loads weights
        else:
            super()._init_weights(module)
