"""The tool that measures what an eraser costs and gains, on an experiment of a few steps."""

import shutil

import numpy as np
import pytest
import torch
import yaml

from espnet_robust.distill.student_erasure import StudentErasure


@pytest.fixture(scope="module")
def tool(load_tool):
    return load_tool("measure_erasure")


def test_errors_saved_and_their_interval(tool):
    # Two speakers of two utterances, one experiment, one copy: the second rank mends one speaker's
    # errors, the third nothing.
    right = np.array([[[[0, 0, 0, 1]], [[1, 1, 0, 1]], [[0, 0, 0, 1]]]], bool)
    found = list(tool.saved_errors(right, ["a", "a", "b", "b"], [0, 2, 4]))
    assert found[0] == (2, pytest.approx(100 * 2 / 3), 0, 100)
    assert found[1] == (4, 0, 0, 0)


def test_points_gained_and_that_experiments_are_drawn_too(tool):
    # One speaker of four utterances; one experiment gains two of them, the other loses one.
    right = np.array([[[[0, 0, 1, 1]], [[1, 1, 1, 1]]], [[[1, 1, 1, 1]], [[0, 1, 1, 1]]]], bool)
    assert list(tool.gained_points(right, ["a"] * 4, [0, 8])) == [(8, 12.5, -25, 50)]


def test_an_intent_is_right_if_each_slot_is(tool):
    x = np.repeat(np.eye(4) * 9, 3, axis=0)
    labels = [label for label in ("on|light", "on|fan", "off|light", "off|fan") for _ in range(3)]
    (right,) = tool.classify((x, labels), [(x[:4], ["on|light", "on|fan", "off|light", "off|fan"])])
    assert right.tolist() == [True, False, False, False]


def test_a_lower_rank_erases_what_it_would_have_been_fitted_to(tool, straight):
    config, model = tool.load(straight, "3epoch.pth")
    whole, low = (
        StudentErasure.of(config | {"erase": {"rank": rank, "utterances": 12}}).fit(model.student)
        for rank in (5, 2)
    )
    part = tool.first_directions(whole, 2)
    x = torch.randn(7, 16, generator=torch.Generator().manual_seed(0))
    for layer in range(3):
        torch.testing.assert_close(part.layer(x, layer), low.layer(x, layer), atol=1e-4, rtol=1e-4)


def test_of_a_system_that_erases_it_takes_the_student_before(tool, straight, tmp_path):
    shutil.copytree(straight, tmp_path / "exp")
    config = yaml.safe_load((straight / "config.yaml").read_text()) | {"erase": {"rank": 2}}
    (tmp_path / "exp/config.yaml").write_text(yaml.safe_dump(config))
    before, after = (
        tool.validate(model, found)
        for found, model in (tool.load(exp, "3epoch.pth") for exp in (straight, tmp_path / "exp"))
    )
    assert before == pytest.approx(after)


def test_the_table(tool, straight, data, tmp_path, capsys):
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("train", "noisy"):
        (folder / name).mkdir()
        for table in ("wav.scp", "utt2num_samples"):
            (folder / name / table).write_bytes((data / table).read_bytes())
        ids = [f"u{i:02}" for i in range(12)]
        labels = "ab" if name == "train" else "ba"  # so that there are errors to count
        for table, values in (("utt2label", labels), ("utt2spk", "cd")):
            lines = (f"{utt} {values[i % 2]}\n" for i, utt in enumerate(ids))
            (folder / name / table).write_text("".join(lines))
    clean, noisy = (str(folder / name) for name in ("train", "noisy"))
    words = [str(straight), "--checkpoint", "3epoch.pth", "--ranks", "10", "--utterances", "12"]
    tool.main([*words, "--probe", clean, noisy, "--train", clean, "--test", clean, noisy])
    head, plain, erased, saved, gained = capsys.readouterr().out.splitlines()[-5:]
    assert head.split("\t")[1:] == [
        "rank", "loss", "probe valid", "deviation valid", "probe noisy", "train", "noisy",
    ]  # fmt: skip
    plain, erased = (line.split("\t")[1:] for line in (plain, erased))
    assert (plain[0], erased[0]) == ("0", "10")
    assert float(erased[1]) > float(plain[1]) > 0  # the heads were trained without
    assert plain[-2:] == ["100.000", "0.000"]
    assert saved.startswith("rank 10: ")
    assert gained.startswith("rank 10, clean: -")  # of 16 directions
    # Against itself, rank 0 saves nothing and the same rank as much as before.
    tool.main([*words, "--against", str(straight), "--train", clean, "--test", clean, noisy])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[1] for line in lines[-7:-4]] == ["0", "10", "0"]
    assert lines[-4].startswith("rank 0: 0.0 % fewer") and lines[-3] == saved
    with pytest.raises(SystemExit):
        tool.main([*words, "--against", "a", "b", "--train", clean, "--test", clean, noisy])
