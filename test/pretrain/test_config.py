import pytest

from espnet_robust.common.config import from_mapping, load_yaml
from espnet_robust.common.errors import ConfigError
from espnet_robust.pretrain.config import PretrainConfig


def read(text: str) -> PretrainConfig:
    given = {"clusters": 4, "steps": 6, "model": {}} | load_yaml(text, "x.yaml")
    return from_mapping(given, PretrainConfig, "x.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps: 0", "steps: must be a whole number of at least 1, got 0"),
        ("steps: true", "steps: must be a whole number of at least 1, got True"),
        ("log_every: 0", "log_every: must be a whole number of at least 1, got 0"),
        ("save_every: 0", "save_every: must be a whole number of at least 1, got 0"),
        ("warmup: -1", "warmup: must be a whole number of at least 0, got -1"),
        ("seed: -1", "seed: must be a whole number of at least 0, got -1"),
        ("lr: 1e-3", "lr: must be a number above 0, got '1e-3'; in YAML, write 1e-3 as 0.001 or"),
        ("lr: .nan", "lr: must be a number above 0, got nan"),
        ("max_seconds: 0", "max_seconds: must be a number above 0, got 0"),
        ("max_seconds: .inf", "max_seconds: must be a number above 0, got inf"),
        ("batch_seconds: null", "batch_seconds: must be a number above 0, got None"),
        ("mask_prob: 2", "mask_prob: must be a number of at least 0 and at most 1, got 2"),
        ("clusters: 1.5", "clusters: must be a whole number of at least 2 and at most 32768, got"),
        (
            "clusters: 40000",
            "clusters: must be a whole number of at least 2 and at most 32768, got",
        ),
        ("units: mfcc", "units: must be {from: mfcc} or {from: DIR, layer: N}, got 'mfcc'"),
        ("units: {layer: 3}", "units: `from` must be mfcc or the directory of a model, got None"),
        ("units: {from: mfcc, layr: 3}", "units: unknown key 'layr', did you mean 'layer'?"),
        ("units: {from: mfcc, layer: 3}", "units: MFCCs have no layers; leave out `layer`"),
        ("units: {from: dir}", "units: a directory in `from` needs `layer`, or write {from: mfcc}"),
        ("units: {from: dir, layer: x}", "units: layer: must be a whole number of at least 0, got"),
        ("distortion: 5", "distortion: must be a distortion YAML or its content, got 5"),
        ("distortion: [a]", "distortion: must be a distortion YAML or its content, got ['a']"),
        ("{model: null, init: 5}", "init: must be a hub id or a directory, got 5"),
        ("model: small", "model: must be a mapping of options, got 'small'"),
    ],
)
def test_refused(text, message):
    with pytest.raises(ConfigError) as e:
        read(text)
    assert str(e.value).startswith(f"x.yaml: {message}")


@pytest.mark.parametrize(
    "text",
    [
        "{lr: 1.0e-3, warmup: 0, mask_prob: 0, weight_decay: 0, clip: .inf, batch_seconds: 64}",
        "{units: {from: dir, layer: 0}, clusters: 32768, log_every: 1}",
    ],
)
def test_taken(text):
    read(text)
