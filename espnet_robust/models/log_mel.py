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
    A window is a multiple of four samples.
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
        if self.conv_kernel[0] % 4:
            raise ValueError(f"conv_kernel: {self.conv_kernel[0]}: need a multiple of 4 samples")


class LogMel(nn.Module):
    """Waveforms to stacked log mel energies, on O'Shaughnessy's (HTK's) mel scale, Hann window.

    The Fourier transform is a matrix product, as devices compute those best. Cosines and sines are
    symmetric about a half and a quarter of the window, so samples that meet the same factor are
    added first: a quarter of the products, the same result apart from rounding.
    """

    floor = 1e-3  # added to energies: 57 dB below white noise of the utterance's power

    taper: Tensor  # (window,)
    even_cos: Tensor  # (samples, frequencies), for even frequencies; next, for odd ones
    odd_cos: Tensor
    even_sin: Tensor
    odd_sin: Tensor
    filters: Tensor  # (filters, frequencies), even ones first

    def __init__(self, config: LogMelConfig):
        super().__init__()
        self.window, self.hop = config.conv_kernel[0], config.conv_stride[0]
        self.stack, self.bins = config.conv_stride[1], config.conv_dim[0]
        self.rate = config.sampling_rate
        quarter = self.window // 4
        shapes = {
            "taper": (self.window,),
            "even_cos": (quarter + 1, quarter + 1),
            "odd_cos": (quarter, quarter),
            "even_sin": (quarter - 1, quarter + 1),
            "odd_sin": (quarter, quarter),
            "filters": (self.bins, 2 * quarter + 1),
        }
        for name, shape in shapes.items():
            # Not in checkpoints; ``_init_weights`` fills them once their memory is allocated.
            self.register_buffer(name, torch.empty(shape), persistent=False)
        if not self.filters.is_meta:
            self.fill()

    @property
    def products(self) -> int:
        """Multiply-accumulates of one window."""
        matrices = (self.even_cos, self.odd_cos, self.even_sin, self.odd_sin, self.filters)
        return sum(matrix.numel() for matrix in matrices)

    def fill(self) -> None:
        """Compute the transform and the filters."""
        quarter = self.window // 4
        time = torch.arange(quarter + 1, dtype=torch.float64)[:, None]
        frequencies = torch.arange(2 * quarter + 1, dtype=torch.float64)
        angle = 2 * math.pi * frequencies * time / self.window
        edges = torch.linspace(_mel(20.0), _mel(self.rate / 2), self.bins + 2, dtype=torch.float64)
        edges = 700 * (torch.exp(edges / 1127) - 1)
        hertz = frequencies * self.rate / self.window
        low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
        rising, falling = (hertz - low) / (centre - low), (high - hertz) / (high - centre)
        filters = torch.minimum(rising, falling).clamp(min=0.0)
        with torch.no_grad():
            self.taper.copy_(torch.hann_window(self.window).double())
            self.even_cos.copy_(angle[:, ::2].cos())
            self.odd_cos.copy_(angle[:-1, 1::2].cos())
            self.even_sin.copy_(angle[1:-1, ::2].sin())
            self.odd_sin.copy_(angle[1:, 1::2].sin())
            self.filters.copy_(torch.cat([filters[:, ::2], filters[:, 1::2]], 1))

    def forward(self, wav: Tensor) -> Tensor:
        """(B, N) samples -> (B, filters * stack, T), with the windows of a filter side by side.

        T is HuBERT's frame count; a window that begins within the last frame and ends beyond the
        samples is padded with zeros.
        """
        return self.windows(F.pad(wav, (0, self.hop * (self.stack - 1))))

    def windows(self, wav: Tensor) -> Tensor:
        """Like ``forward``, for complete windows only."""
        energies = self.filters @ self.power(self.cut(wav) * self.taper).transpose(1, 2)
        mel = ((energies + self.floor).log() - CENTRE) / SPREAD
        whole = mel.shape[-1] // self.stack * self.stack
        rows, bins = mel.shape[0], self.bins
        frames = mel[..., :whole].reshape(rows, bins, -1, self.stack)
        return frames.transpose(2, 3).reshape(rows, bins * self.stack, -1)

    def cut(self, wav: Tensor) -> Tensor:
        """(B, N) -> (B, T, window). From blocks that divide window and hop, because
        ``Tensor.unfold`` has no operation in ONNX.
        """
        size = math.gcd(self.window, self.hop)
        step, count = self.hop // size, (wav.shape[1] - self.window) // self.hop + 1
        blocks = wav[:, : wav.shape[1] // size * size].reshape(wav.shape[0], -1, size)
        last = (count - 1) * step + 1
        parts = [blocks[:, i : i + last : step] for i in range(self.window // size)]
        return torch.cat(parts, 2)

    def power(self, x: Tensor) -> Tensor:
        """(B, T, window), 0 at the first sample -> the power spectrum, even frequencies first."""
        half, quarter = self.window // 2, self.window // 4
        middle = x[..., half : half + 1]
        total, difference = _folded(x[..., 1:])
        # About a quarter of the window, even frequencies are symmetric, odd ones antisymmetric; for
        # sines it is the other way round.
        outer = slice(quarter - 1, quarter)
        with_cos, against_cos = _folded(total)
        with_sin, against_sin = _folded(difference)
        even_cos = torch.cat([middle, with_cos, total[..., outer]], -1) @ self.even_cos
        odd_cos = torch.cat([-middle, against_cos], -1) @ self.odd_cos
        even_sin = against_sin @ self.even_sin
        odd_sin = torch.cat([with_sin, difference[..., outer]], -1) @ self.odd_sin
        even = even_cos.square() + even_sin.square()
        return torch.cat([even, odd_cos.square() + odd_sin.square()], -1)


def _folded(x: Tensor) -> tuple[Tensor, Tensor]:
    """(..., 2 n + 1) -> the n values before the middle plus and minus those after it, mirrored."""
    n = x.shape[-1] // 2
    left, right = x[..., :n], x[..., n + 1 :].flip(-1)
    return left + right, left - right


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
