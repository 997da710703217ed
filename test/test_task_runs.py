"""In every task that trains here: two steps, packing by ESPnet, loading and inference elsewhere."""

import contextlib
import importlib
import shutil

import pytest
import torch
from espnet2.main_funcs.pack_funcs import pack, unpack
from espnet2.utils.yaml_no_alias_safe_dump import yaml_no_alias_safe_dump

from espnet_robust.models.student import read_student_weights
from espnet_robust.plugin.registration import register

from .test_tasks import CASES, build_with_args, frontends, speech

BEAM = {"beam_size": 2, "maxlenratio": 0.2}
# Task -> inference of ESPnet: module, class, prefix of its two arguments, further ones.
INFERENCE = {
    "asr": ("asr_inference", "Speech2Text", "asr_", BEAM),
    "slu": ("slu_inference", "Speech2Understand", "slu_", BEAM),
    "st": ("st_inference", "Speech2Text", "st_", BEAM),
    "s2t": ("s2t_inference", "Speech2Text", "s2t_",
            BEAM | {"lang_sym": "a", "task_sym": "b", "partial_ar": False}),
    "s2t_ctc": ("s2t_inference_ctc", "Speech2TextGreedySearch", "s2t_",
                {"lang_sym": "a", "task_sym": "b"}),
    "cls": ("cls_inference", "Classification", "classification_", {}),
    "spk": ("spk_inference", "Speech2Embedding", "", {}),
    "diar": ("diar_inference", "DiarizeSpeech", "", {"num_spk": 2}),
    "enh_s2t": ("asr_inference", "Speech2Text", "asr_", BEAM | {"enh_s2t_task": True}),
}  # fmt: skip
SYMBOLS = {
    "notime_symbol": "<na>",
    "first_time_symbol": "a",
    "last_time_symbol": "b",
    "fs": 16000,
    "speech_length": 1,
}
# What inference wants to know beyond the model.
MORE = {
    "s2t": {"token_type": "word", "preprocessor_conf": SYMBOLS},
    "s2t_ctc": {"token_type": "word"},
}
# Tasks without a class for inference: the model loads elsewhere and encodes as it did.
ONLY_MODELS = {"lid", "ssl"}


@pytest.fixture(scope="module", autouse=True)
def registered():
    register()


def test_no_task_is_forgotten():
    assert INFERENCE.keys() | ONLY_MODELS == CASES.keys()


@pytest.fixture
def trained(request, student_dir, tmp_path):
    """(task, its class, model after two steps, exp/ with configuration and weights); no student."""
    task = request.param
    student = tmp_path / "student"
    shutil.copytree(student_dir, student)
    conf, targets = CASES[task]
    torch.manual_seed(0)
    cls, model, args = build_with_args(task, conf | MORE.get(task, {}), student, tmp_path)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.01)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    model.train()
    for _ in range(2):
        loss, _, _ = model(**speech(), **targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert torch.isfinite(loss)
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved and not any(".speech_model." in name for name in moved)
    exp = tmp_path / "exp"
    exp.mkdir(exist_ok=True)
    (exp / "config.yaml").write_text(yaml_no_alias_safe_dump(vars(args), sort_keys=False))
    torch.save(model.state_dict(), exp / "model.pth")
    shutil.rmtree(student)
    return task, cls, model.eval(), exp


def packed_elsewhere(exp, prefix, tmp_path):
    """What ``espnet2.bin.pack`` and then unpacking in another directory leave: the arguments."""
    names = f"{prefix}train_config", f"{prefix}model_file"
    with contextlib.chdir(exp):
        pack({names[1]: "model.pth"}, {names[0]: "config.yaml"}, tmp_path / "packed.zip")
    shutil.rmtree(exp)
    files = unpack(tmp_path / "packed.zip", tmp_path / "elsewhere")
    return files, [files[name] for name in names]


@pytest.mark.parametrize("trained", CASES, indirect=True)
def test_trained_packed_and_loaded_elsewhere(trained, student_dir, tmp_path):
    _, cls, model, exp = trained
    _, (config, weights) = packed_elsewhere(exp, "", tmp_path)
    loaded, _ = cls.build_model_from_file(config, weights, "cpu")
    expected, held = read_student_weights(student_dir), frontends(loaded)[0].speech_model
    assert all(torch.equal(held.state_dict()[k], expected[k]) for k in expected)
    inputs = speech().values()
    with torch.inference_mode():
        ours, theirs = (frontends(m)[0](*inputs)[0] for m in (model, loaded.eval()))
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("trained", INFERENCE, indirect=True)
def test_espnets_inference_elsewhere(trained, tmp_path):
    task, _, _, exp = trained
    module, name, prefix, options = INFERENCE[task]
    files, _ = packed_elsewhere(exp, prefix, tmp_path)
    infer = getattr(importlib.import_module(f"espnet2.bin.{module}"), name)(**files, **options)
    wav = speech()["speech"][0]
    heard = infer(wav[None] if task == "diar" else wav.numpy())
    assert heard is not None and len(heard) > 0
