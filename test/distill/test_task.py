"""The ESPnet task as a user runs it: through the command, on files."""

import csv
import shutil
from pathlib import Path

import pytest
import soundfile
import torch
import yaml

from espnet_robust.bin import export_student
from espnet_robust.common.config import read_yaml
from espnet_robust.common.errors import ModelError
from espnet_robust.distill.model import DistillModel
from espnet_robust.models.speech_model import SpeechModel, load_teacher
from espnet_robust.models.student import load_student

NO_DROPOUT = {
    "init": "convolutions",
    "overrides": dict.fromkeys(
        ("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout"), 0.0
    ),
}


def curves(out: Path) -> dict[tuple[int, str], dict[str, float]]:
    """{(epoch, split): {name: value}} of curves.csv."""
    with (out / "curves.csv").open() as f:
        return {
            (int(row.pop("epoch")), row.pop("split")): {k: float(v) for k, v in row.items() if v}
            for row in csv.DictReader(f)
        }


def export(out: Path, to: Path, *options: str) -> SpeechModel:
    export_student.main([str(out), str(to), *options])
    return load_student(to)


def different(a: dict, b: dict) -> list[str]:
    assert a.keys() == b.keys()
    return [key for key in a if not torch.equal(a[key], b[key])]


def test_number_of_workers_does_not_matter(train, straight, tmp_path, assert_same_weights):
    assert_same_weights(train(tmp_path / "w2", num_workers=2), straight)


def test_another_sampling_rate_is_resampled(train, make_data, tmp_path, weights):
    """The same samples under another rate are other speech."""
    at_8k, at_16k = (make_data([12_800] * 4, rate=rate) for rate in (8000, 16_000))
    train(tmp_path / "16k", data=at_16k, max_epoch=1)
    train(tmp_path / "8k", data=at_8k, max_epoch=1)
    ours, theirs = (weights(tmp_path / name, 1) for name in ("8k", "16k"))
    assert any(not ours[key].equal(theirs[key]) for key in ours)


def test_seed_matters(train, straight, tmp_path, weights):
    assert different(weights(train(tmp_path / "seed", seed=1)), weights(straight))


def test_export_gives_the_student_alone(straight, tmp_path, weights):
    student = export(straight, tmp_path / "s", "--checkpoint", "3epoch.pth")
    saved = weights(straight)
    for key, value in student.state_dict().items():
        assert torch.equal(value, saved[f"student.{key}"])
    assert student.num_layers == 2
    with pytest.raises(ModelError, match=r"9epoch\.pth: not found"):
        export_student.main([str(straight), str(tmp_path / "t"), "--checkpoint", "9epoch.pth"])
    assert not (tmp_path / "t").exists()


def test_exports_several_students(straight, tmp_path, capsys):
    one, two = (str(tmp_path / name) for name in "ab")
    export_student.main([str(straight), one])
    export_student.main([str(straight), one, str(straight), two])
    said = capsys.readouterr().out.splitlines()
    assert said[1] == f"{one}: already exported" and said[2].startswith(f"{two}: ")
    states = [load_student(path).state_dict() for path in (one, two)]
    assert different(*states) == []
    with pytest.raises(SystemExit):
        export_student.main([str(straight), one, two])
    assert f"{two}: name a student directory after it" in capsys.readouterr().err


def test_curves_have_every_epoch_and_scalar(straight):
    rows = curves(straight)
    assert list(rows) == [(epoch, split) for epoch in (1, 2, 3) for split in ("train", "valid")]
    for (_, split), row in rows.items():
        assert {"loss", "distill", "l1", "cosine", "domain_loss", "domain_acc"} <= row.keys()
        assert row["distill"] == pytest.approx(row["l1"] + row["cosine"], rel=1e-4)
        assert row["audio_seconds_per_second"] > 0 and row["seconds"] > 0
        assert ("grad_norm" in row) == (split == "train")
    assert rows[3, "train"]["distill"] < rows[1, "train"]["distill"]


def test_curves_tell_whether_the_domain_is_hidden(train, straight, make_data, tmp_path):
    named = {"domain_acc", "domain_balanced_acc", "domain_majority", "domain_lambda"}
    for (_, split), row in curves(straight).items():
        assert named <= row.keys()
        assert ("domain_grad" in row) == ("distill_grad" in row) == (split == "train")
        for name in ("domain_probe", "domain_probe_deviation"):
            assert (name in row) == (split == "valid")
            assert split == "train" or 0 <= row[name] <= 1
    # Without adversary too; not where validation is clean, or nobody asks.
    speech = make_data([6400] * 16)
    plain = train(tmp_path / "plain", max_epoch=1, dat="none", data=speech)
    assert "domain_probe" in curves(plain)[1, "valid"]
    off = {"domain_probe": False}
    denoise = off | {"loss_conf": {"l1": 1.0, "denoise": 1.0}}
    for name, options in [
        ("clean", {"valid_mapping": "none"}), ("off", off), ("denoise", denoise),
        ("pairs", off | {"dat": "pairs"}),
    ]:  # fmt: skip
        out = train(tmp_path / name, max_epoch=1, **options)
        assert "domain_probe" not in curves(out)[1, "valid"]


def test_the_probe_changes_nothing_of_what_is_trained(
    train, straight, tmp_path, assert_same_weights
):
    assert_same_weights(train(tmp_path / "off", domain_probe=False), straight)


@pytest.mark.parametrize("method", ["pairs", "mmd"])
def test_memory_of_a_resumed_run(train, tmp_path, assert_same_weights, method):
    # Smaller than what an epoch brings: the oldest examples have been dropped, too.
    options = {"dat": method, "dat_conf": {"memory": 9, "ramp": 0}, "keep_nbest_models": 2}
    out = train(tmp_path / "x", max_epoch=1, **options)
    train(out, max_epoch=2, **options)
    assert_same_weights(out, train(tmp_path / "straight", max_epoch=2, **options), 2)


def test_tensorboard_curves(train, tmp_path):
    out = train(tmp_path / "x", max_epoch=1, use_tensorboard=True)
    assert list(out.glob("tensorboard/valid/events*"))


def test_validation_compares_epochs_and_not_draws(train, tmp_path):
    # With nothing learnt, every epoch's validation loss is the same: one crop, one distortion.
    out = train(
        tmp_path / "x", optim_conf={"lr": 0.0}, crop_seconds=0.3, student_conf=NO_DROPOUT
    )  # fmt: skip
    rows = curves(out)
    assert rows[1, "valid"]["loss"] == rows[3, "valid"]["loss"]
    assert rows[1, "train"]["distill"] != rows[3, "train"]["distill"]


def test_bf16_learns_nearly_the_same(train, straight, tmp_path, weights):
    out = train(tmp_path / "bf16", amp="bf16")
    low, full = curves(out)[3, "valid"]["distill"], curves(straight)[3, "valid"]["distill"]
    assert low != full
    assert low == pytest.approx(full, rel=0.02)
    saved = weights(out)
    assert all(value.dtype == torch.float32 for value in saved.values())
    assert different(saved, weights(straight))
    assert not read_yaml(out / "config.yaml")["use_amp"]  # no gradient scaler


def test_moving_average_is_validated_and_exported(train, tmp_path, weights, monkeypatch):
    heard = []
    pick = DistillModel._pick_student

    def spy(model):
        student, heads = pick(model)
        if model.ema:
            heard.append((model.training, student is model.ema_student))
        return student, heads

    monkeypatch.setattr(DistillModel, "_pick_student", spy)
    out = train(tmp_path / "ema", ema=0.5, keep_nbest_models=3, student_conf=NO_DROPOUT)
    assert set(heard) == {(True, False), (False, True)}
    saved = weights(out)
    average = {k[4:]: v for k, v in saved.items() if k.startswith("ema_")}
    assert different(average, {k: saved[k] for k in average})
    student = export(out, tmp_path / "s", "--checkpoint", "3epoch.pth")
    assert not different(
        student.state_dict(),
        {k[len("ema_student.") :]: v for k, v in saved.items() if k.startswith("ema_student.")},
    )
    # The average changes nothing of what is trained.
    plain = weights(train(tmp_path / "plain", student_conf=NO_DROPOUT))
    assert not different(plain, {k: saved[k] for k in plain})


def test_moving_average_by_hand(train, tmp_path, weights):
    # One update an epoch: what is saved are the weights, of which the average has all but the last.
    out = train(
        tmp_path / "x", ema=0.75, batch_size=12, keep_nbest_models=3, student_conf=NO_DROPOUT
    )
    saved = [weights(out, epoch) for epoch in (1, 2, 3)]
    for key in saved[0]:
        if key.startswith("ema_"):
            first = saved[0][key]
            second = 0.75 * first + 0.25 * saved[0][key[4:]]
            third = 0.75 * second + 0.25 * saved[1][key[4:]]
            torch.testing.assert_close(saved[1][key], second)
            torch.testing.assert_close(saved[2][key], third)


CACHED = {"mapping": "setup1", "fixed_crops": True, "crop_seconds": 0.5, "dat": "none"}


@pytest.fixture
def count_teacher(monkeypatch):
    """Appends to a list at each call of a teacher."""
    calls = []
    forward = SpeechModel.forward

    def spy(model, *args, **kwargs):
        if not any(p.requires_grad for p in model.parameters()):
            calls.append(len(args[0]))
        return forward(model, *args, **kwargs)

    monkeypatch.setattr(SpeechModel, "forward", spy)
    return calls


@pytest.mark.parametrize("mapping", ["none", "setup1"])
def test_cache_is_transparent(train, tmp_path, assert_same_weights, count_teacher, mapping):
    options = CACHED | {"mapping": mapping, "target_cache": str(tmp_path / "cache")}
    empty = train(tmp_path / "empty", **options)
    # 3 batches in training; validation hears the same crops of the same speech.
    assert len(count_teacher) == 3
    full = train(tmp_path / "full", **options)
    assert len(count_teacher) == 3
    assert_same_weights(full, empty)
    plain = train(tmp_path / "plain", **CACHED | {"mapping": mapping})
    loss = [curves(out)[3, "valid"]["loss"] for out in (empty, plain)]
    assert loss[0] == pytest.approx(loss[1], rel=1e-3)  # fp16 is all that differs


def test_changed_teacher_or_audio_never_reads_the_cache(
    train, make_data, teacher_dirs, tmp_path, weights, count_teacher
):
    teacher = tmp_path / "teacher"
    shutil.copytree(teacher_dirs["hubert_layer_norm"], teacher)
    speech = make_data([6400] * 4)
    options = CACHED | {
        "teacher": str(teacher),
        "target_cache": str(tmp_path / "cache"),
        "max_epoch": 1,
        "data": speech,
    }
    first = weights(train(tmp_path / "first", **options), 1)
    assert len(count_teacher) == 1
    model = load_teacher(teacher)
    model.encoder.encoder.layers[3].final_layer_norm.weight.data *= 1.5
    model.encoder.save_pretrained(teacher)  # the same place, another teacher
    assert different(weights(train(tmp_path / "second", **options), 1), first)
    assert len(count_teacher) == 2
    audio, rate = soundfile.read(speech.parent / "u00.wav")
    soundfile.write(speech.parent / "u00.wav", 0.9 * audio, rate)
    train(tmp_path / "third", **options)
    assert len(count_teacher) == 3


def test_statistics_are_taken_once_and_kept(train, tmp_path, weights):
    options = {"target_norm": "statistics", "statistics_batches": 2, "keep_nbest_models": 3}
    out = train(tmp_path / "x", max_epoch=1, **options)
    first = weights(out, 1)
    assert first["targets.std_4"].isfinite().all()
    train(out, max_epoch=2, **options)
    for name in ("mean_2", "std_2", "mean_4", "std_4"):
        assert torch.equal(weights(out, 2)[f"targets.{name}"], first[f"targets.{name}"])
    export(out, tmp_path / "s")


VARIANTS = {
    "denoise": {"loss_conf": {"l1": 1.0, "denoise": 0.5}},
    "every_loss": {
        "loss_conf": dict.fromkeys(["l1", "cosine", "mse", "correlation", "vicreg", "gram"], 0.1)
    },
    "student_mask": {"student_mask_prob": 0.3, "student_mask_length": 4},
    "layer_groups": {"target_layers": [2, [3, 4]], "target_norm": "layer"},
    "same": {"mapping": "same"},
    "clean_validation": {"valid_mapping": "none"},
    "alternating": {"dat": "alternating", "dat_conf": {"classifier_steps": 2, "layers": [1, 2]}},
    "multi": {"dat_conf": {"domains": "multi", "pooled": False}},
    "student_teacher": {"dat_conf": {"domains": "student_teacher"}},
    "pairs": {"dat": "pairs", "dat_conf": {"weight": 0.5, "start": 0.3}},
    "linear": {"dat": "linear", "dat_conf": {"layers": [1, 2], "memory": 16}, "ema": 0.5},
    "coral": {"dat": "coral", "dat_conf": {"layers": "heads"}, "amp": "bf16"},
    "mmd": {"dat": "mmd", "dat_conf": {"pooled": False}, "accum_grad": 2},
    "lstm": {"student_conf": {"kind": "lstm", "init": "random", "overrides": {"hidden_size": 8}}},
    "lstm_bf16": {
        "student_conf": {"kind": "lstm", "init": "convolutions", "overrides": {"hidden_size": 8}},
        "amp": "bf16",
    },
    "buckets": {"batch_type": "numel", "batch_bins": 30000, "student_conf": {"num_layers": 4}},
    "group_norm": {"teacher": "hubert_group_norm", "student_conf": {"num_layers": 1}},
    "filter_banks": {
        "teacher": "w2v_bert",
        "student_conf": {"kind": "hubert", "init": "random", "overrides": {
            "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32,
            "conv_dim": [8] * 7,
            "num_conv_pos_embeddings": 15, "num_conv_pos_embedding_groups": 2,
        }},
    },
    "several_teachers": {"teacher": ["hubert_layer_norm", "wavlm"], "target_norm": "layer"},
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
def test_variant_trains_resumes_and_is_exported(name, train, teacher_dirs, tmp_path, weights):
    options = VARIANTS[name] | {"keep_nbest_models": 2, "optim_conf": {"lr": 0.003}}
    teachers = options.get("teacher", "hubert_layer_norm")
    teachers = [teachers] if isinstance(teachers, str) else teachers
    options["teacher"] = [str(teacher_dirs[kind]) for kind in teachers]
    out = train(tmp_path / "x", max_epoch=1, **options)
    train(out, max_epoch=2, **options)
    rows = curves(out)
    assert rows[2, "train"]["distill"] < rows[1, "train"]["distill"]
    assert {*options.get("loss_conf", {"l1"})} <= rows[2, "valid"].keys()
    assert not [key for key, value in weights(out, 2).items() if not value.isfinite().all()]
    student = export(out, tmp_path / "s")
    assert student(torch.zeros(1, 4000), torch.tensor([4000])).states[1].isfinite().all()
    provenance = yaml.safe_load((tmp_path / "s/config.yaml").read_text())["provenance"]
    assert provenance["teacher"] == options["teacher"]


def test_alternating_steps_train_one_side_each(train, tmp_path, weights):
    # 3 batches an epoch and classifier_steps 2: updates 1, 2 of the classifier, 3 of the student.
    options = {
        "dat": "alternating",
        "dat_conf": {"classifier_steps": 2},
        "student_conf": NO_DROPOUT,
        "batch_size": 12,  # one update an epoch
        "keep_nbest_models": 3,
    }
    out = train(tmp_path / "x", **options)
    first, second, third = (weights(out, epoch) for epoch in (1, 2, 3))
    moved = {key.split(".")[0] for key in different(first, second)}
    assert moved == {"adversary"}
    assert {key.split(".")[0] for key in different(second, third)} == {"student", "heads"}


def test_accumulated_gradients_are_those_of_one_large_batch(train, make_data, tmp_path, weights):
    speech = make_data([6400] * 12)  # of one length: each batch weighs the same
    # Plain descent: an adaptive optimizer would blow up differences of rounding.
    options = {"student_conf": NO_DROPOUT, "data": speech, "optim": "sgd"}
    large = weights(train(tmp_path / "large", batch_size=12, **options))
    small = weights(train(tmp_path / "small", batch_size=4, accum_grad=3, **options))
    assert large.keys() == small.keys()
    for key, value in large.items():
        torch.testing.assert_close(small[key], value, atol=1e-6, rtol=1e-4, msg=key)


def test_accumulation_counts_updates(train, tmp_path, weights):
    # 3 batches, of which 2 make the one update of an epoch: averages move and sides alternate by
    # updates, not by batches.
    out = train(
        tmp_path / "x", accum_grad=2, ema=0.75, keep_nbest_models=2, max_epoch=2,
        dat="alternating", student_conf=NO_DROPOUT,
    )  # fmt: skip
    first, second = weights(out, 1), weights(out, 2)
    assert {key.split(".")[0] for key in different(first, second)} == {"student", "heads"}


def test_batches_that_make_no_update_leave_no_trace(train, tmp_path, assert_same_weights):
    # 3 batches, accum_grad 2: the third one's gradient must not reach the next epoch, where a
    # resumed run would not have it.
    options = {"accum_grad": 2, "keep_nbest_models": 3, "ema": 0.9}
    straight = train(tmp_path / "straight", **options)
    resumed = train(tmp_path / "resumed", max_epoch=1, **options)
    train(resumed, **options)
    assert_same_weights(resumed, straight)
