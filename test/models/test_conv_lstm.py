import pytest
import torch
from torch import nn

from espnet_robust.models.conv_lstm import ConvLSTMConfig, ConvLSTMModel, LSTMLayer


def tiny(**options):
    torch.manual_seed(0)
    return ConvLSTMConfig(
        hidden_size=6, conv_dim=[8] * 7, num_hidden_layers=2, hidden_dropout=0.0, **options
    )


@pytest.mark.parametrize("bidirectional", [True, False])
def test_a_layer_is_an_lstm_on_each_row_alone(bidirectional):
    layer = LSTMLayer(tiny(bidirectional=bidirectional))
    x, lengths = torch.randn(3, 7, 6), torch.tensor([4, 7, 1])
    out = layer(x, lengths)
    for i, n in enumerate(lengths.tolist()):
        torch.testing.assert_close(out[i, :n], layer.lstm(x[i : i + 1, :n])[0][0])
        assert not out[i, n:].any()


def test_only_the_backward_direction_hears_the_future():
    x = torch.randn(1, 5, 6)
    changed = torch.cat([x[:, :4], x[:, 4:] + 1], 1)
    for bidirectional in (False, True):
        layer = LSTMLayer(tiny(bidirectional=bidirectional))
        same = torch.equal(layer(x, None)[:, 0], layer(changed, None)[:, 0])
        assert same is not bidirectional


def test_no_transformer_inside():
    model = ConvLSTMModel(tiny())
    assert not any(
        "attention" in name or "pos_conv" in name for name, _ in model.named_parameters()
    )
    assert [type(layer.lstm) for layer in model.encoder.layers] == [nn.LSTM] * 2


def test_an_odd_width_has_no_two_halves():
    config = tiny()
    config.hidden_size = 7
    with pytest.raises(ValueError, match="cannot be halved"):
        ConvLSTMModel(config)
