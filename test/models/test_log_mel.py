import numpy as np
import pytest
import torch
from transformers.audio_utils import mel_filter_bank

from espnet_robust.models.log_mel import CENTRE, SPREAD, LogMel, LogMelConfig, LogMelModel


def tiny(**options):
    shape = {"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2}
    return LogMelConfig(**shape, num_conv_pos_embedding_groups=2, **options)


def test_energies_are_those_of_a_fourier_transform():
    front, wav = LogMel(tiny()), torch.randn(2, 1040, generator=torch.Generator().manual_seed(0))
    out = front(wav)
    assert out.shape == (2, 160, 3)
    # Frame 1 holds the windows at 320 and 480; that at 800 of the last frame ends in zeros.
    padded = np.pad(wav.double().numpy(), ((0, 0), (0, 160)))
    filters = mel_filter_bank(
        num_frequency_bins=201, num_mel_filters=80, min_frequency=20.0, max_frequency=8000.0,
        sampling_rate=16000, mel_scale="kaldi", norm=None,
    )  # fmt: skip
    window = np.hanning(401)[:400]
    for frame in range(3):
        for half in range(2):
            at = 320 * frame + 160 * half
            energy = np.abs(np.fft.rfft(padded[:, at : at + 400] * window)) ** 2
            expected = (np.log(energy @ filters + LogMel.floor) - CENTRE) / SPREAD
            found = out[:, half::2, frame]
            np.testing.assert_allclose(found, expected, rtol=0, atol=2e-4)


@pytest.mark.parametrize("samples", [400, 719, 720, 879, 880, 1039, 1040, 16000])
@pytest.mark.parametrize("stride", [(160, 2), (320, 1)])
def test_frames_are_huberts(samples, stride):
    config = tiny(conv_stride=stride, conv_dim=(40, 40 * stride[1]))
    model = LogMelModel(config).eval()
    frames = (samples - 400) // 320 + 1
    assert model(torch.randn(1, samples)).last_hidden_state.shape == (1, frames, 12)


def test_nothing_of_the_front_is_trained_or_stored():
    front = LogMel(tiny())
    assert not list(front.parameters()) and not front.state_dict()


@pytest.mark.parametrize("options", [{"conv_dim": (80, 80)}, {"conv_kernel": (400, 2)}])
def test_shapes_that_do_not_go_together(options):
    with pytest.raises(ValueError, match="the second number must be 2 .windows"):
        tiny(**options)


def test_a_window_that_cannot_be_folded():
    with pytest.raises(ValueError, match="conv_kernel: 402: need a multiple of 4 samples"):
        tiny(conv_kernel=(402, 1))


@pytest.mark.parametrize(("window", "hop"), [(400, 160), (320, 320), (8, 3), (4, 1), (512, 100)])
def test_any_window_and_hop(window, hop):
    config = tiny(conv_kernel=(window, 1), conv_stride=(hop, 1), conv_dim=(2, 2))
    front = LogMel(config)
    wav = torch.randn(2, 3 * window + 5, dtype=torch.float64)
    frames = front.cut(wav)
    assert torch.equal(frames, wav.unfold(1, window, hop))
    tapered = frames * torch.hann_window(window, dtype=torch.float64)
    power = front.double().power(tapered)
    bins = [*range(0, window // 2 + 1, 2), *range(1, window // 2, 2)]
    expected = torch.fft.rfft(tapered).abs().square()[..., bins]
    torch.testing.assert_close(power, expected, rtol=1e-5, atol=1e-5)
