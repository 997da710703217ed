"""The supported architectures of speech encoders; ours are registered with transformers."""

from transformers import AutoConfig, AutoModel

from espnet_robust.models.conv_lstm import ConvLSTMConfig, ConvLSTMModel
from espnet_robust.models.eraser import ErasedConfig, ErasedModel
from espnet_robust.models.log_mel import LogMelConfig, LogMelModel
from espnet_robust.models.streaming import StreamConfig, StreamModel

# Models of raw samples whose frames follow from ``conv_kernel`` and ``conv_stride``.
WAVEFORM_MODELS = (
    "hubert", "wavlm", "wav2vec2", "data2vec-audio", "unispeech-sat",
    "conv_lstm", "log_mel", "log_mel_stream",
)  # fmt: skip
FILTER_BANK_MODELS = ("wav2vec2-bert",)

_OURS = (
    (ConvLSTMConfig, ConvLSTMModel),
    (LogMelConfig, LogMelModel),
    (StreamConfig, StreamModel),
    (ErasedConfig, ErasedModel),  # only to recognise its directory: students are loaded otherwise
)
for _config, _model in _OURS:
    AutoConfig.register(_config.model_type, _config)
    AutoModel.register(_config, _model)
