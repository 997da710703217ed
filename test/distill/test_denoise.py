import numpy as np
import pytest
import torch
from transformers.audio_utils import mel_filter_bank

from espnet_robust.distill.denoise import FLOOR, Denoiser, LogMel
from espnet_robust.models.padding import valid_frames
from espnet_robust.models.student import StudentConfig, build_student


@pytest.fixture
def denoiser(teacher):
    torch.manual_seed(0)
    return Denoiser(build_student(teacher, StudentConfig()))


def test_one_frame_by_hand():
    wav = torch.randn(1, 700, generator=torch.Generator().manual_seed(0)) * 3 + 1
    out = LogMel(16000, 400, 300, 40)(wav, torch.tensor([700]))
    assert out.shape == (1, 2, 40)
    x = wav[0].double().numpy()
    x = (x - x.mean()) / x.std()
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    power = np.abs(np.fft.rfft(x[300:] * window / np.linalg.norm(window), 512)) ** 2
    expected = np.log(power @ mel_filter_bank(257, 40, 0, 8000, 16000) + FLOOR)
    np.testing.assert_allclose(out[0, 1].numpy(), expected, atol=1e-3)


def test_every_band_hears_something_and_a_tone_is_where_it_belongs():
    log_mel = LogMel(16000, 400, 320, 40)
    assert (log_mel.filters.sum(0) > 0).all()
    time = torch.arange(8000) / 16000
    for hertz in (500.0, 3000.0):
        out = log_mel(torch.sin(2 * torch.pi * hertz * time)[None], torch.tensor([8000]))
        nearest = log_mel.filters[round(hertz * 512 / 16000)].argmax()
        assert (out[0].argmax(-1) == nearest).all()


@pytest.mark.parametrize("samples", [400, 719, 720, 721, 5000, 8000])
def test_frames_are_the_students(denoiser, teacher, samples):
    out = denoiser.log_mel(torch.randn(1, samples), torch.tensor([samples]))
    assert out.shape[1] == teacher.num_frames(samples)


def test_loss_by_hand(denoiser, batch):
    wav, lengths = batch
    counts = torch.tensor([24, 18, 9])
    wanted = valid_frames(denoiser.log_mel(wav, lengths), counts)
    with torch.no_grad():
        denoiser.head.weight.zero_()
        denoiser.head.bias.fill_(2.0)
    loss = denoiser(torch.randn(51, 16), lengths, counts, wav)
    torch.testing.assert_close(loss, (wanted - 2).abs().mean())


def test_level_padding_and_batch_mates_do_not_matter(denoiser, batch):
    wav, lengths = batch
    counts = torch.tensor([24, 18, 9])
    frames = torch.randn(51, 16, generator=torch.Generator().manual_seed(0))
    loss = denoiser(frames, lengths, counts, wav)
    wider = torch.nn.functional.pad(5 * wav, (0, 900), value=9.0)
    torch.testing.assert_close(denoiser(frames, lengths, counts, wider), loss)
    alone = [
        denoiser(part, length[None], count[None], row[None, :length])
        for part, row, length, count in zip(
            frames.split(counts.tolist()), wav, lengths, counts, strict=True
        )
    ]
    torch.testing.assert_close(loss, (torch.stack(alone) * counts).sum() / 51)


def test_gradient_reaches_head_and_frames_only(denoiser, batch):
    wav, lengths = batch
    wav = wav.clone().requires_grad_()
    frames = torch.randn(51, 16, requires_grad=True)
    denoiser(frames, lengths, torch.tensor([24, 18, 9]), wav).backward()
    assert frames.grad.abs().max() > 0 and denoiser.head.weight.grad.abs().max() > 0
    assert wav.grad is None
    assert sorted(denoiser.state_dict()) == ["head.bias", "head.weight"]
