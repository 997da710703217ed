import pytest
import torch
from espnet2.asr.encoder.rnn_encoder import RNNEncoder

from espnet_robust.common.errors import ConfigError
from espnet_robust.plugin.blstm import BLSTMEncoder

SHAPE = {"output_size": 6, "hidden_size": 5, "num_layers": 2}


@pytest.fixture
def encoder() -> BLSTMEncoder:
    torch.manual_seed(0)
    return BLSTMEncoder(4, subsample=[2, 1], dropout=0.5, **SHAPE)


@pytest.fixture
def frames() -> torch.Tensor:
    return torch.randn(3, 11, 4, generator=torch.Generator().manual_seed(1))


LENGTHS = torch.tensor([11, 8, 1])


def test_equals_espnets_encoder_with_the_same_weights(encoder, frames):
    theirs = RNNEncoder(4, subsample=[2, 1], dropout=0.0, **SHAPE)
    for layer in range(2):
        rnnp = theirs.enc[0]
        getattr(rnnp, f"birnn{layer}").load_state_dict(encoder.lstms[layer].state_dict())
        getattr(rnnp, f"bt{layer}").load_state_dict(encoder.projections[layer].state_dict())
    encoder.dropout = 0.0  # in training
    ours = frames.clone().requires_grad_()
    x = frames.clone().requires_grad_()
    y, lengths, _ = encoder(ours, LENGTHS)
    expected, expected_lengths, _ = theirs(x, LENGTHS)
    assert lengths.tolist() == expected_lengths.tolist() == [6, 4, 1]
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-6)
    y.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(ours.grad, x.grad, rtol=0, atol=1e-5)
    torch.testing.assert_close(
        encoder.lstms[0].weight_hh_l0_reverse.grad,
        theirs.enc[0].birnn0.weight_hh_l0_reverse.grad,
        rtol=0,
        atol=1e-5,
    )


def test_frames_depend_on_no_padding_and_no_other_utterance(encoder, frames):
    encoder.eval()
    y, lengths, _ = encoder(frames, LENGTHS)
    for n, length in enumerate(LENGTHS):
        alone, _, _ = encoder(frames[n : n + 1, :length], LENGTHS[n : n + 1])
        torch.testing.assert_close(y[n, : lengths[n]], alone[0], rtol=0, atol=1e-6)
        assert not y[n, lengths[n] :].any()


def test_dropout_ends_with_training(encoder, frames):
    def differs() -> bool:
        return not torch.equal(encoder(frames, LENGTHS)[0], encoder(frames, LENGTHS)[0])

    assert differs()
    encoder.eval()
    assert not differs()


@pytest.mark.parametrize(("step", "expected"), [(1, 11), (2, 6), (3, 4)])
def test_lengths_are_those_of_the_frames_taken(frames, step, expected):
    encoder = BLSTMEncoder(4, output_size=6, hidden_size=5, num_layers=1, subsample=[step])
    y, lengths, _ = encoder(frames, LENGTHS)
    assert y.shape[1] == lengths[0] == expected


def test_one_direction_hears_no_future_and_can_go_by_chunks(frames):
    torch.manual_seed(0)
    encoder = BLSTMEncoder(4, subsample=[2, 1], bidirectional=False, **SHAPE).eval()
    y, lengths, _ = encoder(frames, LENGTHS)
    changed = frames.clone()
    changed[:, 6:] += 1
    torch.testing.assert_close(encoder(changed, LENGTHS)[0][:, :3], y[:, :3], rtol=0, atol=1e-6)
    state, parts = encoder.first_state(), []
    for at in range(0, 11, 4):
        part, state = encoder.step(frames[:1, at : at + 4], state)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts, 1), y[:1], rtol=0, atol=1e-6)
    assert not y[1, lengths[1] :].any()


def test_start_dropout_silences_the_first_frames_of_half_of_the_utterances_in_training():
    torch.manual_seed(0)
    encoder = BLSTMEncoder(4, subsample=[2, 1], bidirectional=False, start_dropout=3, **SHAPE)
    frames, lengths = torch.randn(1, 11, 4).expand(400, -1, -1), torch.full((400,), 11)
    out, _, _ = encoder(frames, lengths)
    silent = (out[:, :3] == 0).all(-1).all(-1)
    assert 150 < silent.sum() < 250
    whole = encoder.eval()(frames[:1], lengths[:1])[0]
    torch.testing.assert_close(out[~silent], whole.expand(400, -1, -1)[~silent])
    torch.testing.assert_close(out[silent, 3:], whole.expand(400, -1, -1)[silent, 3:])


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"start_dropout": -1}, "start_dropout: must be a whole number of at least 0, got -1"),
        ({"start_dropout": "8"}, "start_dropout: must be a whole number"),
        ({"num_layers": "2"}, "num_layers: must be a whole number of at least 1, got '2'"),
        ({"num_layers": 0, "subsample": []}, "num_layers: must be a whole number of at least 1"),
        ({"subsample": 2}, "subsample: need a list of 4"),
        ({"subsample": [2, 1]}, "subsample: need a list of 4"),
        ({"subsample": [2, 1.5, 1, 1]}, "subsample: must be a whole number .* got 1.5"),
        ({"subsample": [2, 0, 1, 1]}, "subsample: must be a whole number of at least 1, got 0"),
        ({"dropout": 1.5}, "dropout: must be a number of at least 0 and at most 1, got 1.5"),
    ],
)
def test_refused_configurations(conf, message):
    with pytest.raises(ConfigError, match=f"encoder_conf: {message}"):
        BLSTMEncoder(4, **conf)
