"""Keys of ESPnet's other frontends: understood, or answered with what to write instead.

``layer`` and ``multilayer_feature`` (s3prl, espnet_ssl) are understood.
"""

from collections.abc import Mapping
from typing import Any

from rapidfuzz import process

from espnet_robust.common.errors import ConfigError

KEYS = (
    "fs", "student", "layers", "freeze", "freeze_steps", "lr_scale", "cache_gb", "max_seconds",
)  # fmt: skip
# s3prl's names for upstreams that are on the Hugging Face hub
HUB = {
    "hubert": "facebook/hubert-base-ls960",
    "hubert_base": "facebook/hubert-base-ls960",
    "hubert_large_ll60k": "facebook/hubert-large-ll60k",
    "wavlm": "microsoft/wavlm-base",
    "wavlm_base": "microsoft/wavlm-base",
    "wavlm_base_plus": "microsoft/wavlm-base-plus",
    "wavlm_large": "microsoft/wavlm-large",
    "wav2vec2": "facebook/wav2vec2-base",
    "wav2vec2_base_960": "facebook/wav2vec2-base",
    "wav2vec2_large_ll60k": "facebook/wav2vec2-large-lv60",
    "xlsr_53": "facebook/wav2vec2-large-xlsr-53",
    "data2vec": "facebook/data2vec-audio-base",
}
LOG_MEL = (
    "n_fft", "win_length", "hop_length", "window", "center", "normalized", "onesided", "n_mels",
    "fmin", "fmax", "htk", "apply_stft",
)  # fmt: skip
ANSWERS = dict.fromkeys(LOG_MEL, "is for log-mel features; remove it") | {
    "download_dir": "models are in Hugging Face's cache: set HF_HOME instead",
    "load_pretrained": "a trained model holds its weights anyway; remove it",
    "freeze_encoder_steps": "write `freeze: false` and `freeze_steps`",
    "masking_conf": "the frontend masks nothing; remove it",
    "mask_feats": "the frontend masks nothing; remove it",
    "use_final_output": "write `layers: last`",
    "freeze_param": "is a key beside frontend_conf; `freeze: true` does it here",
    "path_or_url": "write `student: {path: DIR}`",
}


def read_familiar(given: Mapping[str, Any], layers: Any) -> Any:
    """The layers that familiar keys ask for, or ``layers`` if they ask for none.

    Raises:
        ConfigError: there are other keys; one line says what to write instead of each.
    """
    given = dict(given)
    chosen = _layers(given.pop("multilayer_feature", None), given.pop("layer", -1))
    if chosen is not None and layers not in ("weighted_sum", chosen):
        raise ConfigError(
            f"frontend_conf: layers: {layers!r} contradicts multilayer_feature or layer, which "
            f"mean {chosen!r}; leave these out"
        )
    if isinstance(given.get("frontend_conf"), Mapping):
        given |= given.pop("frontend_conf")
    if given:
        answers = "; ".join(f"{key}: {_answer(key, value)}" for key, value in given.items())
        raise ConfigError(f"frontend_conf: {answers}")
    return layers if chosen is None else chosen


def _layers(multilayer: Any, layer: Any) -> Any:
    """``layers`` for the s3prl frontend's two keys: a layer other than -1 excludes the sum."""
    if layer != -1 and multilayer:
        raise ConfigError(
            f"frontend_conf: multilayer_feature: true and layer: {layer} exclude each other; "
            f"write `layers: weighted_sum` or `layers: {layer}`"
        )
    if layer != -1:
        return layer
    return None if multilayer is None else "weighted_sum" if multilayer else "last"


def _answer(key: str, value: Any) -> str:
    if key in ("upstream", "model"):
        name = HUB.get(str(value), value if "/" in str(value) else "HUB_ID_OR_DIR")
        return f"write `student: {{hf: {name}}}`"
    if key in ANSWERS:
        return ANSWERS[key]
    near = process.extractOne(str(key), KEYS, score_cutoff=60)
    return f"unknown key, did you mean {near[0]}?" if near else f"unknown; known: {', '.join(KEYS)}"
