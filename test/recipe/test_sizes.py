"""What a run says that it will take, against figures computed by hand; free space is a stub."""

import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from espnet_robust.bin import check_recipe
from espnet_robust.common.config import read_yaml
from espnet_robust.common.errors import ConfigError, DataDirError, UserError
from espnet_robust.common.experiment import Recipe
from espnet_robust.data.audio import RATE
from espnet_robust.recipe.plan import Plan
from espnet_robust.recipe.sizes import check_space, estimate, names_of_copies, read_rates

SYSTEMS = ["teacher", "cdm1"]
STAGES = range(1, 11)
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def plan(root, tmp_path, monkeypatch):
    """librispeech/asr1 before its first stage, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    protocols = [root / f"conf/distortion/{name}.yaml" for name in ("indomain", "outofdomain")]
    return Plan(
        Recipe(root / "egs/librispeech/asr1"), "asr", Path("exp/paper"), "paper",
        test_sets=(Path("data/test"), Path("data/test_other")), protocols=(*map(str, protocols),),
    )  # fmt: skip


@pytest.fixture
def free(monkeypatch):
    """free(gb): every disk has so much left."""

    def free(gb: float) -> None:
        usage = Usage(0, 0, round(gb * 1e9))
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)

    return free


def sizes(plan, gpus=1, preset="960h", stages=STAGES):
    lines, needs = estimate(plan, stages, SYSTEMS, ["0"], gpus, preset)
    check_space(needs)
    return lines


def write_lengths(name: str, *hours: float) -> None:
    folder = Path("data", name)
    folder.mkdir(parents=True)
    lines = [f"utt{n} {round(RATE * 3600 * hour)}\n" for n, hour in enumerate(hours)]
    (folder / "utt2num_samples").write_text("".join(lines))


def test_a_preset_before_its_data_are_there(plan, free):
    free(1000)
    speech, copies, distillation, disk = sizes(plan)
    assert speech == "speech: train 961 h, dev 5.4 h, test 5.4 h, test_other 5.1 h"
    # 31 conditions of 10.5 h, 22.6 kB a second
    assert copies == "copies: 31 conditions of each test set, 326 h, 26 GB"
    # 75 M s are 20,833 h, or 3.6 h at 5,778 times real time; 375 s are a little over those measured
    assert "200,000 steps of 375 s, 21.7 passes, 8.2 GB a GPU, 3.6 h (in" in distillation
    assert disk == "disk: 28 GB in all"


def test_what_several_gpus_share(plan, free):
    free(1000)
    assert "3.2 GB a GPU, 1.2 h" not in sizes(plan)[2]
    assert "3.2 GB a GPU, 1.2 h" in sizes(plan, gpus=3)[2]
    assert "GPU" not in sizes(plan, gpus=0)[2]


def test_data_that_are_there_count_as_they_are(plan, free):
    free(1000)
    write_lengths("train", 1.5, 0.5)
    write_lengths("test", 1)
    speech, copies, distillation, _ = sizes(plan)
    assert speech == "speech: train 2 h, dev 5.4 h, test 1 h, test_other 5.1 h"
    assert "189 h" in copies
    assert "10,417 passes (give it more speech, --distill_set DIR, or take" in distillation
    assert sizes(plan, preset="other")[0] == "speech: train 2 h, test 1 h"


def test_nothing_is_known_of_a_new_corpus(plan, free):
    free(0)
    lines = sizes(plan, preset="other", stages=[1, 2, 3])
    assert lines == ["speech: known after stage 1"]


def test_copies_that_are_there_take_no_more(plan, free):
    free(1000)
    for name in ("musan_snr20", "clip"):
        (Path("data") / f"test_{name}").mkdir(parents=True)
        (Path("data") / f"test_{name}/condition.json").write_text("{}")
    assert "315 h" in sizes(plan)[1]
    for name in ("test_other_musan_snr10", "test_own"):  # of another set, of another protocol
        (Path("data") / name).mkdir()
        (Path("data") / f"{name}/condition.json").write_text("{}")
    assert "310 h" in sizes(plan)[1]
    assert not any("copies" in line for line in sizes(replace(plan, protocols=("none",))))
    assert not any("copies" in line for line in sizes(plan, stages=[1, 2, 5]))


def test_a_disk_that_is_too_small(plan, free, tmp_path):
    free(1)
    message = r": 28 GB are needed, 1 GB are free \(copies: 31 conditions .*; trainings: 1.7 GB\)"
    with pytest.raises(UserError, match=message):
        sizes(plan)
    free(27)  # enough for the copies, but not for what trainings leave beside them
    with pytest.raises(UserError, match="28 GB are needed, 27 GB are free"):
        sizes(plan)
    assert not any(tmp_path.iterdir())
    free(29)
    assert sizes(plan)


def test_a_small_disk_can_be_a_warning(root, plan, free, tmp_path, capsys):
    free(0)
    options = ["--recipe", str(plan.recipe.directory), "--task", "asr", "--protocols", "none"]
    options += ["--systems", "teacher cdm1", "--preset", "960h", "--exp", str(tmp_path)]
    with pytest.raises(UserError, match="GB are needed, 0 GB are free"):
        check_recipe.main(options)
    check_recipe.main([*options, "--check_disk", "false"])
    assert "warning: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("\n", "^data/train/utt2num_samples:2: blank line; fix: espnet-robust data fix data/train"),
        ("utt1\n", "^data/train/utt2num_samples:2: nothing after the id 'utt1'; fix"),
        ("utt1 2 s\n", "^data/train/utt2num_samples: utt1: '2 s' is no number of samples; begin"),
    ],
)
def test_lengths_that_cannot_be_read(plan, free, line, message):
    free(1000)
    write_lengths("train", 1.5)
    with open("data/train/utt2num_samples", "a") as file:
        file.write(line)
    with pytest.raises(DataDirError, match=message):
        sizes(plan)


def test_cached_targets(plan, free):
    free(1000)
    options = "--target_cache cache --fixed_crops true"
    cached = replace(plan, distill_args=options, protocols=("none",))
    # 100.6 h of 50 frames a second, three layers of 768 values of two bytes, and 1.7 GB
    lines = sizes(cached, preset="100h")
    assert lines[-2:] == ["cached targets: 101 h, 83 GB", "disk: 85 GB in all"]
    free(80)
    with pytest.raises(UserError, match="cached targets: 101 h, 83 GB"):
        sizes(cached, preset="100h")
    free(1000)
    (Path("cache") / "identity/ab").mkdir(parents=True)
    assert sizes(cached, preset="100h")[-1] == "disk: 1.7 GB in all"


def test_a_teacher_of_another_size(plan, free, root):
    """The small teacher of egs/mini takes next to nothing; nothing was measured for a large one."""
    free(0.5)
    small = replace(plan, teacher=str(root / "egs/mini/asr1/teacher"), protocols=("none",))
    assert len(lines := sizes(small)) == 2 and "GPU" not in lines[1]
    free(1000)
    large = replace(plan, teacher="microsoft/wavlm-large", protocols=("none",))
    assert "GPU" not in sizes(large)[1] and sizes(large)[2] == "disk: 5.4 GB in all"


def test_memory_is_that_measured_with_the_batch_measured():
    rates = read_rates()
    assert rates.memory_gb("bf16", rates.batch_audio) == pytest.approx(rates.distil_gb["bf16"])
    assert rates.memory_gb("bf16", 0) == rates.fixed_gb


def test_conditions_of_a_protocol(tmp_path):
    path = tmp_path / "protocol.yaml"
    path.write_text("conditions: {a: {each_snr_db: [20, 10, 0], chain: []}, b: {chain: []}}\n")
    assert names_of_copies(path) == ["a_snr20", "a_snr10", "a_snr0", "b"]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            "conditions: {a: {each_snr_db: 10, chain: [white]}}",
            "conditions.a.each_snr_db: need a list of dB, got 10",
        ),
        (
            "conditions: {a: {each_snr_db: [5, low], chain: [white]}}",
            r"conditions.a.each_snr_db: need a list of dB, got \[5, 'low'\]",
        ),
        ("conditions: {a: }", "conditions.a: need a mapping with `chain`, got None"),
        ("conditions: [{a: {chain: [clip]}}]", "need a mapping with `conditions`, a mapping by"),
        ("chain: [clip]", "need a mapping with `conditions`, a mapping by name"),
    ],
)
def test_a_protocol_whose_conditions_cannot_be_counted(tmp_path, plan, written, message):
    path = tmp_path / "protocol.yaml"
    path.write_text(f"{written}\n")
    options = ["--recipe", str(plan.recipe.directory), "--task", "asr", "--protocols", str(path)]
    options += ["--noise_source", str(tmp_path), "--stage", "3", "--systems", "teacher"]
    with pytest.raises(ConfigError, match=f"^{path}: {message}"):
        check_recipe.main(options)


def test_hours_are_of_sets(root):
    found = sorted(root.glob("egs/*/*/conf/hours.yaml"))
    assert len(found) == 6
    for path in found:
        for hours in read_yaml(path).values():
            assert {"train", "dev", "test"} <= hours.keys()
            assert all(0 < value < 1000 for value in hours.values())
