"""A stream is the whole pass, however it is cut; and nothing hears what comes after its chunk."""

import pytest
import torch

from espnet_robust.models.speech_model import build_speech_model
from espnet_robust.models.streaming import Stream, StreamConfig, StreamModel


@pytest.fixture(params=[(160, 2, 320), (320, 1, 320), (160, 2, 0)])
def model(request):
    hop, stack, left_ms = request.param
    torch.manual_seed(0)
    config = StreamConfig(
        hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32,
        num_conv_pos_embeddings=9, num_conv_pos_embedding_groups=2, chunk_ms=160, left_ms=left_ms,
        conv_stride=(hop, stack), conv_dim=(20, 20 * stack), mask_time_prob=0.0,
    )  # fmt: skip
    return build_speech_model(StreamModel(config), normalize=False).eval()


def wave(samples: int) -> torch.Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(1))


def whole(model, wav):
    with torch.inference_mode():
        states = model(wav[None], torch.tensor([len(wav)])).states
    return torch.cat([states[layer] for layer in states])


CUTS = {"at once": [40000], "samples": [1] * 700, "odd": [399, 1, 7777, 160], "chunks": [2560] * 9}


@pytest.mark.parametrize("cut", CUTS)
def test_a_stream_is_the_whole_pass_however_it_is_cut(model, cut):
    for samples in (400, 719, 720, 2719, 2720, 2880, 3040, 20000, 48123):
        wav = wave(samples)
        stream, parts, at = Stream(model.encoder), [], 0
        for size in CUTS[cut]:
            parts.append(stream.feed(wav[at : at + size]))
            at += size
        parts += [stream.feed(wav[at:]), stream.finish()]
        torch.testing.assert_close(torch.cat(parts, 1), whole(model, wav), rtol=1e-4, atol=1e-5)


def test_a_frame_comes_with_its_chunk(model):
    stream = Stream(model.encoder)
    stack = model.config.conv_stride[1]
    need = 7 * 320 + 400 + 160 * (stack - 1)
    assert stream.feed(wave(need - 1)).shape[1] == 0
    assert stream.feed(wave(1)).shape[1] == 8  # 160 ms of frames, at most 35 ms after their end


def test_what_is_kept_does_not_grow(model):
    stream = Stream(model.encoder)

    def kept() -> int:
        return sum(x.numel() for x in [stream._held, *(stream._state or ())])

    sizes = []
    for _ in range(12):
        stream.feed(wave(16000))
        sizes.append(kept())
    assert max(sizes[2:]) <= max(sizes[:2]) + 2560


def test_the_future_beyond_a_chunk_is_not_heard(model):
    wav = wave(16000)
    changed = wav.clone()
    changed[8000:] += 1  # frames from 24 on; chunks are of 8
    ours, theirs = whole(model, wav), whole(model, changed)
    first = (8000 - 400) // 320 // 8 * 8
    assert torch.equal(ours[:, :first], theirs[:, :first])
    assert not torch.equal(ours[:, first + 8 :], theirs[:, first + 8 :])


def test_the_past_beyond_left_is_heard_only_as_a_mean_and_through_layers(model):
    mask = model.encoder.encoder.mask(torch.zeros(1, 40, 16), None)[0, 0] == 0
    first = 32 - model.config.left
    assert mask[32:40, first:40].all() and not mask[32:40, :first].any()
    assert not mask[31, 32:].any()


@pytest.mark.parametrize("level", [0.03, 1.0, 30.0])
def test_loudness_does_not_matter(model, level):
    wav = wave(16000)
    near = (whole(model, wav) - whole(model, level * wav)).abs().max()
    assert near < 0.05
