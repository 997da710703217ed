"""A student with an eraser: what it does to frames, and how it is stored and loaded."""

import subprocess
import sys

import pytest
import torch
import yaml
from safetensors.torch import load_file

from espnet_robust.common.errors import ModelError
from espnet_robust.models.long_audio import in_windows
from espnet_robust.models.speech_model import SpeechModel, load_teacher
from espnet_robust.models.student import (
    StudentConfig,
    build_student,
    describe,
    from_description,
    load_student,
    save_student,
)

RANK = 3  # of the eraser in conftest.py


@pytest.fixture
def student(teacher, with_eraser):
    torch.manual_seed(0)
    return with_eraser(build_student(teacher, StudentConfig()).eval())


def plain(student: SpeechModel) -> SpeechModel:
    """The same student without the eraser."""
    theirs = from_description(describe(student) | {"erased": 0}, "here")
    weights = student.state_dict().items()
    theirs.load_state_dict({k: v for k, v in weights if not k.startswith("eraser.")})
    return theirs.eval()


def test_what_it_erases_is_constant_and_the_rest_stays(student, batch):
    ours, theirs = student(*batch), plain(student)(*batch)
    for layer, state in ours.states.items():
        eraser, frames = student.eraser, ours.lengths[2]
        read = state[2, :frames] @ eraser.read[layer]
        torch.testing.assert_close(read, eraser.offset[layer].expand_as(read), atol=1e-3, rtol=1e-3)
        change = state[2, :frames] - theirs.states[layer][2, :frames]
        assert torch.linalg.matrix_rank(change, rtol=1e-4) == RANK
        again = eraser.layer(state, layer)
        torch.testing.assert_close(again, state, atol=1e-3, rtol=1e-3)


def test_neither_padding_nor_batch_mates_reach_a_frame(student, batch):
    wav, lengths = batch
    together = student(wav, lengths)
    for i, n in enumerate(lengths.tolist()):
        alone = student(wav[i : i + 1, :n], lengths[i : i + 1])
        frames = int(together.lengths[i])
        for layer, state in alone.states.items():
            torch.testing.assert_close(
                together.states[layer][i, :frames], state[0], atol=1e-4, rtol=1e-4
            )


def test_windows_of_a_long_file_are_erased_too(student):
    wav = torch.randn(16000 * 13, generator=torch.Generator().manual_seed(5)) * 0.1
    for ours, theirs in zip(
        in_windows(student, wav, 16000 * 12), in_windows(plain(student), wav, 16000 * 12),
        strict=True,
    ):  # fmt: skip
        for one, other in zip(ours, student.erase(theirs), strict=True):
            torch.testing.assert_close(one, other)


def test_its_directory(student, batch, tmp_path):
    save_student(student, tmp_path / "s", {"erase": {"rank": RANK}})
    config = yaml.safe_load((tmp_path / "s/config.yaml").read_text())
    assert (config["version"], config["erased"]) == (3, RANK)
    loaded = load_student(tmp_path / "s")
    assert describe(loaded) == describe(student)
    for layer, state in student(*batch).states.items():
        assert torch.equal(loaded(*batch).states[layer], state)
    assert f"the {RANK} directions" in (tmp_path / "s/README.md").read_text()
    # Without an eraser nothing has changed: what others have read so far they still read.
    save_student(plain(student), tmp_path / "plain", {})
    config = yaml.safe_load((tmp_path / "plain/config.yaml").read_text())
    assert config["version"] == 2 and "erased" not in config
    assert not any("eraser" in k for k in load_file(tmp_path / "plain/model.safetensors"))


@pytest.mark.parametrize("erased", [-1, 16, True, "4", 2.0])
def test_a_rank_that_cannot_be(student, tmp_path, erased):
    save_student(student, tmp_path, {})
    config = yaml.safe_load((tmp_path / "config.yaml").read_text()) | {"erased": erased}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ModelError, match=f"erased: {erased!r}: need 1 to 15"):
        load_student(tmp_path)


def test_weights_without_the_eraser_they_should_have(student, tmp_path):
    save_student(student, tmp_path, {})
    config = yaml.safe_load((tmp_path / "config.yaml").read_text()) | {"erased": 2}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ModelError, match="weights do not fit the configuration"):
        load_student(tmp_path)


PLAIN = """
import sys, torch
from transformers import AutoModel

path, lacking, wav, out = sys.argv[1:]
model = AutoModel.from_pretrained(path, trust_remote_code=True).eval()
with torch.inference_mode():
    torch.save(model(torch.load(wav), output_hidden_states=True).hidden_states, out)
assert not [name for name in sys.modules if name.startswith("espnet")]
try:
    AutoModel.from_pretrained(lacking, trust_remote_code=True)
except ValueError as e:
    print(e)
"""


def test_transformers_alone_erases_too_or_refuses(student, teacher, with_eraser, batch, tmp_path):
    save_student(student, tmp_path / "s", {})
    lstm = build_student(teacher, StudentConfig(kind="lstm", init="random"))
    save_student(with_eraser(lstm), tmp_path / "lstm", {})
    wav = batch[0][:1]
    wav = (wav - wav.mean()) / wav.std(correction=0)
    torch.save(wav, tmp_path / "wav")
    arguments = [tmp_path / name for name in ("s", "lstm", "wav", "out")]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PLAIN, *map(str, arguments)],
        cwd=tmp_path, capture_output=True, text=True, check=True,
        env={"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")},
    )  # fmt: skip
    ours, theirs = student(wav, torch.tensor([8000])), torch.load(tmp_path / "out")
    for layer, state in ours.states.items():
        torch.testing.assert_close(theirs[layer], state, atol=1e-4, rtol=1e-4)
    assert "of kind conv_lstm with erased directions cannot be loaded" in done.stdout
    assert "not this one" in (tmp_path / "lstm/README.md").read_text()


def test_it_is_no_teacher(student, tmp_path):
    save_student(student, tmp_path, {})
    with pytest.raises(ModelError, match="write `student: {path: DIR}`"):
        load_teacher(tmp_path)


def test_half_precision(student, batch):
    wav, lengths = batch
    half = student.bfloat16()(wav, lengths).states
    assert {state.dtype for state in half.values()} == {torch.bfloat16}


def test_a_description_says_it(student):
    arch = describe(student)
    assert arch["erased"] == RANK
    assert from_description(arch, "here").eraser.rank == RANK
