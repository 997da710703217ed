import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from espnet_robust.models.long_audio import CONTEXT_S, in_windows
from espnet_robust.models.speech_model import load_teacher
from espnet_robust.models.student import StudentConfig, build_student

WINDOW = round(2.5 * CONTEXT_S * 16_000)


@pytest.fixture(scope="module")
def model(teacher_dir):
    return load_teacher(teacher_dir)


@given(num_samples=st.integers(400, 3 * WINDOW))
def test_every_frame_once_and_no_window_too_long(model, num_samples):
    """Whatever is encoded is followed: each sample's place is its own value here."""
    seen = []

    def encode(wav):
        seen.append(wav.shape[1])
        frames = model.num_frames(wav.shape[1])
        return (wav[:, : frames * model.hop : model.hop, None],)

    class Places:
        normalize, rate, hop, min_samples = False, model.rate, model.hop, model.min_samples
        num_frames = staticmethod(model.num_frames)

    Places.encode = staticmethod(encode)
    wav = torch.arange(num_samples, dtype=torch.float32)
    parts = [states[0] for states in in_windows(Places, wav, WINDOW)]
    found = torch.cat(parts, 1)[0, :, 0]
    assert torch.equal(found, torch.arange(model.num_frames(num_samples)) * float(model.hop))
    assert max(seen) < WINDOW + model.hop
    if len(parts) > 1:  # what is kept has its context, but at the ends of the utterance
        assert all(part.shape[1] <= WINDOW / model.hop - CONTEXT_S * 50 for part in parts[:-1])


def test_as_in_one_pass_where_attention_sees_all(model):
    wav = torch.randn(1, WINDOW, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = model(wav, torch.tensor([WINDOW])).states
        (states,) = in_windows(model, wav[0], WINDOW)
    for layer, state in enumerate(states):
        torch.testing.assert_close(state, whole[layer], atol=1e-5, rtol=1e-5)


def test_convolutions_do_not_notice_the_windows(model):
    """Layer 0 sees no more than a second around a frame; windows have the loudness of the whole."""
    generator = torch.Generator().manual_seed(0)
    wav = torch.randn(2 * WINDOW, generator=generator) * torch.linspace(0.01, 1, 2 * WINDOW)
    with torch.no_grad():
        whole = model(wav[None], torch.tensor([len(wav)])).states[0]
        found = torch.cat([states[0] for states in in_windows(model, wav, WINDOW)], 1)
    assert found.shape == whole.shape
    error = (found - whole).norm() / whole.norm()
    group_norm = model.config.feat_extract_norm == "group"  # its statistics are over time
    assert error < (0.5 if group_norm else 1e-4)


def test_a_filter_bank_hears_the_last_samples_as_in_one_pass(model):
    """A frame stacks two windows of 400 samples, so it reaches 160 beyond ``min_samples``."""
    torch.manual_seed(0)
    config = StudentConfig(num_layers=1, init="random", kind="log_mel")
    student = build_student(model, config).eval()
    wav = torch.randn(2 * WINDOW + 300)
    bank = student.encoder.feature_extractor
    heard = []
    bank.register_forward_hook(lambda module, given, out: heard.append(out.detach()))
    with torch.no_grad():
        student(wav[None], torch.tensor([len(wav)]))
        list(in_windows(student, wav, WINDOW))
    whole, *windows = heard
    torch.testing.assert_close(windows[-1][..., -5:], whole[..., -5:], atol=1e-5, rtol=1e-5)
