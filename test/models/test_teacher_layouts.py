"""Directories in which speech models are handed on: each loads as the plain one, or is refused.

Every architecture has random weights here; what may differ is how they lie in the directory.
"""

import json
import shutil

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from espnet_robust.common.errors import ModelError
from espnet_robust.models.speech_model import load_teacher

from ..conftest import KINDS

WEIGHTS = "model.safetensors"
HEADS = {  # classes with a head of their own over the same encoder
    "Hubert": ("ForCTC", "ForSequenceClassification"),
    "WavLM": ("ForCTC", "ForSequenceClassification", "ForXVector"),
    "Wav2Vec2": ("ForCTC", "ForPreTraining", "ForAudioFrameClassification"),
    "Data2VecAudio": ("ForCTC", "ForSequenceClassification"),
    "UniSpeechSat": ("ForCTC", "ForPreTraining"),
    "Wav2Vec2Bert": ("ForCTC",),
}
WEIGHT_NORM = [k for k, (name, _) in KINDS.items() if name not in ("Data2VecAudio", "Wav2Vec2Bert")]
WEIGHT_NORM.remove("hubert_batch_norm")
NEW_NAMES = ("parametrizations.weight.original0", "parametrizations.weight.original1")


@pytest.fixture
def copy(teacher_dirs, tmp_path):
    """copy(kind) -> (a directory of that model to change, its weights)."""

    def copy(kind):
        out = tmp_path / kind
        shutil.copytree(teacher_dirs[kind], out)
        return out, load_file(out / WEIGHTS)

    return copy


def same(one, other):
    """Whether two teachers hear the same in a batch with padding."""
    wav = torch.randn(2, 8000, generator=torch.Generator().manual_seed(0)) / 10
    lengths = torch.tensor([8000, 6123])
    with torch.inference_mode():
        a, b = (load_teacher(directory)(wav, lengths).states for directory in (one, other))
    assert a.keys() == b.keys()
    for layer, state in a.items():
        torch.testing.assert_close(state, b[layer], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_pickled_weights(teacher_dirs, copy, kind):
    out, weights = copy(kind)
    (out / WEIGHTS).unlink()
    torch.save(weights, out / "pytorch_model.bin")
    same(out, teacher_dirs[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_shards(teacher_dirs, copy, kind):
    out, weights = copy(kind)
    (out / WEIGHTS).unlink()
    names = sorted(weights)
    shards = {f"model-{n + 1:05}-of-00002.safetensors": names[n::2] for n in range(2)}
    for file, part in shards.items():
        save_file({k: weights[k] for k in part}, out / file, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {k: file for file, part in shards.items() for k in part}}
    (out / "model.safetensors.index.json").write_text(json.dumps(index))
    same(out, teacher_dirs[kind])


@pytest.mark.parametrize("kind", WEIGHT_NORM)
def test_old_names_of_the_weight_norm(teacher_dirs, copy, kind):
    out, weights = copy(kind)
    old = {k.replace(NEW_NAMES[0], "weight_g").replace(NEW_NAMES[1], "weight_v"): v
           for k, v in weights.items()}  # fmt: skip
    assert old.keys() != weights.keys()
    save_file(old, out / WEIGHTS, metadata={"format": "pt"})
    same(out, teacher_dirs[kind])


@pytest.mark.parametrize(
    ("kind", "head"), [(kind, h) for kind, (name, _) in KINDS.items() for h in HEADS[name]]
)
def test_a_model_with_a_head(teacher_dirs, tmp_path, kind, head):
    plain = transformers.AutoModel.from_pretrained(teacher_dirs[kind])
    cls = getattr(transformers, f"{KINDS[kind][0]}{head}")
    config = transformers.AutoConfig.from_pretrained(teacher_dirs[kind])
    config.codevector_dim = config.proj_codevector_dim = config.num_codevectors_per_group = 4
    config.add_adapter, config.vocab_size = False, 8
    model = cls(config)
    missing = model.base_model.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert not {key for key in missing if key != "masked_spec_embed"}
    model.save_pretrained(tmp_path)
    shutil.copy(teacher_dirs[kind] / "preprocessor_config.json", tmp_path)
    same(tmp_path, teacher_dirs[kind])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single(copy, dtype):
    out, weights = copy("wavlm")
    save_file({k: v.to(dtype) for k, v in weights.items()}, out / WEIGHTS, {"format": "pt"})
    config = json.loads((out / "config.json").read_text()) | {"dtype": str(dtype)[6:]}
    (out / "config.json").write_text(json.dumps(config))
    model = load_teacher(out)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    wav = torch.randn(1, 8000) / 10
    assert model(wav, torch.tensor([8000])).states[4].dtype == torch.float32


def test_mms_and_its_languages(teacher_dirs, tmp_path):
    """MMS: adapters within the layers, and files with those of each language beside the model."""
    config = transformers.AutoConfig.from_pretrained(teacher_dirs["wav2vec2_large"])
    config.add_adapter, config.adapter_attn_dim = False, 4
    torch.manual_seed(0)
    model = transformers.Wav2Vec2ForCTC(config)
    model.save_pretrained(tmp_path / "ctc")
    model.wav2vec2.save_pretrained(tmp_path / "plain")
    save_file({"lm_head.weight": torch.zeros(3, 16)}, tmp_path / "ctc/adapter.eng.safetensors")
    for name in ("ctc", "plain"):
        shutil.copy(teacher_dirs["wavlm"] / "preprocessor_config.json", tmp_path / name)
    same(tmp_path / "ctc", tmp_path / "plain")


@pytest.mark.parametrize("kind", ["wavlm", "wavlm_large"])
def test_wavlms_position_bias_is_that_of_the_first_layer(copy, kind):
    out, weights = copy(kind)
    biases = [key for key in weights if key.endswith("rel_attn_embed.weight")]
    assert biases == ["encoder.layers.0.attention.rel_attn_embed.weight"]
    weights[biases[0]] = weights[biases[0]] + 5 * torch.randn_like(weights[biases[0]])
    save_file(weights, out / WEIGHTS, metadata={"format": "pt"})
    wav, lengths = torch.randn(1, 8000) / 10, torch.tensor([8000])
    shutil.copytree(out, out.with_name("without"))
    weights[biases[0]] = torch.zeros_like(weights[biases[0]])
    save_file(weights, out.with_name("without") / WEIGHTS, metadata={"format": "pt"})
    with torch.inference_mode():
        for layers in ((), (1,)):
            heard, deaf = (load_teacher(d, layers)(wav, lengths).states
                           for d in (out, out.with_name("without")))  # fmt: skip
            assert not torch.allclose(heard[1], deaf[1], atol=1e-4)


def test_a_pickle_that_runs_code_is_not_read(copy, tmp_path):
    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    out, weights = copy("wavlm")
    (out / WEIGHTS).unlink()
    torch.save(weights | {"evil": Evil()}, out / "pytorch_model.bin")
    with pytest.raises(Exception, match="(?i)weights.only|unsupported|cannot be loaded"):
        load_teacher(out)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("kind", ["hubert_layer_norm", "w2v_bert"])
def test_no_preprocessor_config(copy, kind):
    out, _ = copy(kind)
    (out / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match="no readable preprocessor_config.json.*; fix: add"):
        load_teacher(out)


def test_the_advice_on_a_preprocessor_config_works(copy):
    out, _ = copy("wavlm")
    (out / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError) as refusal:
        load_teacher(out)
    advice = str(refusal.value)
    (out / "preprocessor_config.json").write_text(advice[advice.index("{") : advice.index("}") + 1])
    assert load_teacher(out).normalize


def test_weights_that_are_missing(copy):
    out, weights = copy("wavlm")
    weights.pop("encoder.layers.1.attention.q_proj.weight")
    save_file(weights, out / WEIGHTS, metadata={"format": "pt"})
    with pytest.raises(ModelError, match="1 weights missing, first encoder.layers.1.attention.q"):
        load_teacher(out)
