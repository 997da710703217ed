"""HuBERT Base and WavLM Base+ with random weights, in a cache laid out like the hub's.

Their files are as outdated as the published ones: weight norm under the names of torch 1,
``pytorch_model.bin``, and settings of transformers 4 that later versions have dropped.
"""

import json
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file

OLD_NAMES = {
    "parametrizations.weight.original0": "weight_g",
    "parametrizations.weight.original1": "weight_v",
}
# Settings of both repositories that a current configuration no longer has, or has other values of.
OLD_CONFIG = {
    "apply_spec_augment": True,
    "mask_time_prob": 0.05,
    "layerdrop": 0.1,
    "gradient_checkpointing": False,
    "tokenizer_class": "Wav2Vec2CTCTokenizer",
    "torch_dtype": "float32",
    "transformers_version": "4.10.0.dev0",
}
PREPROCESSOR = {
    "feature_extractor_type": "Wav2Vec2FeatureExtractor",
    "feature_size": 1,
    "padding_side": "right",
    "padding_value": 0,
    "return_attention_mask": True,
    "sampling_rate": 16000,
}
REVISION = "0123456789abcdef0123456789abcdef01234567"
HUBERT, WAVLM = "facebook/hubert-base-ls960", "microsoft/wavlm-base-plus"


def make_hub(cache: Path) -> None:
    """Write both teachers into ``cache``, which offline commands use as HF_HUB_CACHE."""
    torch.manual_seed(0)
    hubert = transformers.HubertModel(transformers.HubertConfig())
    _write(cache, HUBERT, hubert, pickled=True, normalize=True)
    wavlm = transformers.WavLMModel(transformers.WavLMConfig())
    _write(cache, WAVLM, wavlm, pickled=False, normalize=False)


def _write(
    cache: Path, name: str, model: transformers.PreTrainedModel, *, pickled: bool, normalize: bool
) -> None:
    assert model.config.feat_extract_norm == "group" and model.num_parameters() > 94e6
    repo = cache / f"models--{name.replace('/', '--')}"
    files = repo / "snapshots" / REVISION
    files.mkdir(parents=True, exist_ok=True)
    (repo / "refs").mkdir(exist_ok=True)
    (repo / "refs/main").write_text(REVISION)
    config = model.config.to_dict() | OLD_CONFIG | {"architectures": [type(model).__name__]}
    config.pop("dtype", None)
    preprocessor = PREPROCESSOR | {"do_normalize": normalize}
    (files / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (files / "preprocessor_config.json").write_text(json.dumps(preprocessor, indent=2) + "\n")
    (files / "README.md").write_text(f"---\nlanguage: en\n---\n# {name}\n")
    weights = {_old(key): value for key, value in model.state_dict().items()}
    assert sum(key.endswith(("weight_g", "weight_v")) for key in weights) == 2
    if pickled:
        torch.save(weights, files / "pytorch_model.bin")
    else:
        save_file(weights, files / "model.safetensors", metadata={"format": "pt"})


def _old(key: str) -> str:
    for new, old in OLD_NAMES.items():
        key = key.replace(new, old)
    return key
