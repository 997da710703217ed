"""The frontend in other precisions than float32."""

import pytest
import torch

from espnet_robust.models.speech_model import load_teacher
from espnet_robust.plugin.frontend import RobustFrontend

HALF = [torch.float16, torch.bfloat16]
KINDS = ["hubert_layer_norm", "hubert_group_norm", "hubert_batch_norm", "wavlm", "w2v_bert"]


@pytest.mark.parametrize("dtype", [torch.float64, *HALF])
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_in_another_precision(teacher_dirs, batch, kind, dtype):
    frontend = RobustFrontend(student={"hf": str(teacher_dirs[kind])}).eval()
    wav, lengths = batch
    with torch.no_grad():
        expected, frames = frontend(wav, lengths)
        found, _ = frontend.to(dtype)(wav.to(dtype), lengths)
        as_float, _ = frontend(wav, lengths)
    assert found.dtype == as_float.dtype == dtype
    tolerance = 1e-4 if dtype == torch.float64 else 0.1
    for out in (found, as_float):
        assert (out - expected).norm() / expected.norm() < tolerance
    assert not found[2, frames[2] :].any()


@pytest.mark.parametrize("dtype", HALF)
def test_the_cache_under_autocast(teacher_dirs, batch, dtype):
    conf = {"student": {"hf": str(teacher_dirs["hubert_layer_norm"])}}
    frontends = RobustFrontend(**conf), RobustFrontend(**conf, cache_gb=0.1)
    for autocast in (True, False, True):
        with torch.autocast("cpu", dtype, enabled=autocast), torch.no_grad():
            expected, first, again = (f(*batch)[0] for f in (*frontends, frontends[1]))
        assert first.dtype == again.dtype == expected.dtype
        assert torch.equal(first, expected) and torch.equal(again, expected)


@pytest.mark.parametrize("dtype", HALF)
def test_a_teacher_stored_in_half_precision(teacher_dirs, batch, tmp_path, dtype):
    from transformers import AutoModel

    kept = teacher_dirs["hubert_layer_norm"]
    AutoModel.from_pretrained(kept).to(dtype).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_bytes(
        (kept / "preprocessor_config.json").read_bytes()
    )
    teacher = load_teacher(tmp_path)
    assert {p.dtype for p in teacher.parameters()} == {torch.float32}
    features, _ = RobustFrontend(student={"hf": str(tmp_path)})(*batch)
    expected, _ = RobustFrontend(student={"hf": str(kept)})(*batch)
    assert features.dtype == torch.float32
    assert (features - expected).norm() / expected.norm() < 0.05
