import pytest
import torch
from transformers import SeamlessM4TFeatureExtractor, Wav2Vec2BertModel

from espnet_robust.models.filter_bank import FilterBank
from espnet_robust.models.speech_model import load_teacher


@pytest.fixture
def extractor():
    """Of facebook/w2v-bert-2.0."""
    return SeamlessM4TFeatureExtractor(padding_value=1.0)


@pytest.mark.parametrize("samples", [720, 1000, 8000, 3000, 16000])
def test_values_are_the_librarys(extractor, samples):
    wav = 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(0))
    expected = extractor(wav.numpy(), sampling_rate=16000, return_tensors="pt")
    ours = FilterBank(160, 16000)(wav[None], None)
    assert ours.shape == expected.input_features.shape
    whole = int(expected.attention_mask.sum())  # pairs with two real frames
    torch.testing.assert_close(
        ours[:, :whole], expected.input_features[:, :whole], atol=1e-4, rtol=1e-4
    )


def test_a_quiet_band_survives_a_loud_one(extractor):
    tone = torch.sin(2 * torch.pi * 200 * torch.arange(8000) / 16000)
    wav = 0.5 * tone + 1e-5 * torch.randn(8000, generator=torch.Generator().manual_seed(0))
    expected = extractor(wav.numpy(), sampling_rate=16000, return_tensors="pt").input_features
    # The library keeps its spectrum in complex64; all in float32 would be off by 0.023.
    torch.testing.assert_close(
        FilterBank(160, 16000)(wav[None], None), expected, atol=0.012, rtol=1e-3
    )


def test_an_odd_last_frame_is_repeated(extractor):
    wav = 0.1 * torch.randn(3000)  # 17 frames of 10 ms
    frames = FilterBank(160, 16000)(wav[None], None)
    expected = extractor(wav.numpy(), sampling_rate=16000, return_tensors="pt").input_features
    assert expected[0, -1, 80:].eq(1.0).all()  # the library's filling
    torch.testing.assert_close(frames[0, -1, :80], expected[0, -1, :80], atol=1e-4, rtol=1e-4)
    assert torch.equal(frames[0, -1, 80:], frames[0, -1, :80])


def test_normalised_over_a_rows_own_frames():
    wav = torch.randn(2, 16000)
    wav[1] *= 100.0
    frames = FilterBank(160, 16000)(wav, torch.tensor([16000, 8080]))  # 98 and 49 frames of 10 ms
    bins = frames[0].reshape(98, 80)
    torch.testing.assert_close(bins.mean(0), torch.zeros(80), atol=1e-5, rtol=0)
    torch.testing.assert_close(bins.var(0), torch.ones(80), atol=1e-4, rtol=0)
    torch.testing.assert_close(
        frames[1, :25], FilterBank(160, 16000)(wav[1:, :8080], None)[0], atol=1e-6, rtol=0
    )
    assert not frames[1, 25:].any()


def test_one_frame_is_finite():
    assert FilterBank(160, 16000)(torch.randn(1, 400), None).isfinite().all()


def test_frames_are_hu_berts(teacher_dirs):
    bert = load_teacher(teacher_dirs["w2v_bert"])
    hubert = load_teacher(teacher_dirs["hubert_layer_norm"])
    assert (bert.hop, bert.min_samples) == (hubert.hop, hubert.min_samples) == (320, 400)
    for n in range(400, 2400):
        short = (n - 400) // 160 + 1
        assert bert.num_frames(n) == -(-short // 2) == hubert.num_frames(n)
    for n in (400, 559, 560, 719, 720, 1039, 1040):
        states = bert(torch.randn(1, n), torch.tensor([n])).states
        assert states[4].shape[1] == hubert.num_frames(n)


def test_hidden_states_are_the_librarys(teacher_dirs, extractor):
    wav = 0.1 * torch.randn(8000)  # 48 frames of 10 ms: no odd one
    inputs = extractor(wav.numpy(), sampling_rate=16000, return_tensors="pt")
    model = Wav2Vec2BertModel.from_pretrained(teacher_dirs["w2v_bert"]).eval()
    expected = model(**inputs, output_hidden_states=True).hidden_states
    ours = load_teacher(teacher_dirs["w2v_bert"])(wav[None], torch.tensor([8000])).states
    assert len(ours) == len(expected) == 5
    for layer, state in ours.items():
        torch.testing.assert_close(state, expected[layer], atol=1e-4, rtol=1e-4)
