"""The command ``report``."""

import json
import subprocess
import sys

import pytest

from espnet_robust.bin.report import main
from espnet_robust.common.errors import UserError
from espnet_robust.score.report import write_report
from test.score.made import WER_FILES, accuracies, scores, write_all


def test_command(tmp_path, capsys):
    write_all(tmp_path / "exp", scores("a", rtf=0.1), scores("b", rtf=0.2))
    out = tmp_path / "report"
    main(["--out", str(out), "--systems", "b a", "--baseline", "a", str(tmp_path / "exp")])
    assert sorted(p.name for p in out.iterdir()) == sorted([*WER_FILES, "index.html"])
    assert capsys.readouterr().out.strip() == f"report written to {out}"
    text = (out / "wer.md").read_text()
    assert "| condition | utterances | speakers | b | a |" in text
    assert text.rstrip().endswith("espnet-robust report --out DIR --systems 'b a' --baseline a DIR")


def test_one_system_of_two_experiments(tmp_path):
    paths = [write_all(tmp_path / name, scores("a"))[0] for name in ("one", "two")]
    with pytest.raises(UserError, match="two scores of system 'a' with seed 0"):
        main(["--out", str(tmp_path), *map(str, paths)])
    main(["--out", str(tmp_path), f"first={paths[0]}", f"second={paths[1]}"])
    assert "| condition | utterances | speakers | first | second |" in (
        (tmp_path / "wer.md").read_text()
    )


def test_experiments_from_elsewhere(tmp_path):
    write_all(tmp_path / "here", scores("a"), scores("b"))
    write_all(tmp_path / "there", scores("a"), scores("c"))
    here, there, out = (str(tmp_path / name) for name in ("here", "there", "out"))
    with pytest.raises(
        UserError, match=f"there is a system 'a' already; .* --compare NAME={there}"
    ):
        main([here, "--out", out, "--compare", there])
    with pytest.raises(UserError, match=f"--compare again={here}: .* is already in this report"):
        main([here, "--out", out, "--compare", f"again={here}"])
    main([here, "--out", out, "--compare", f"theirs={there}"])
    header = "| condition | utterances | speakers | a | b | theirs/a | theirs/c |"
    assert header in (tmp_path / "out/wer.md").read_text()
    recipe = ["--exp", here, "--systems", "a b", "--compare", f"x={there}", "--baseline", "x/a"]
    main([*recipe, "--out", out])
    text = (tmp_path / "out/wer.md").read_text()
    assert "| a | b | x/a | x/c |" in text and "difference from x/a, points" in text


def test_a_baseline_of_a_recipe_without_scores_is_said(tmp_path, capsys):
    write_all(tmp_path, scores("a"), scores("b"))
    command = ["--exp", str(tmp_path), "--systems", "a b", "--out", str(tmp_path / "out")]
    main([*command, "--baseline", "distilhubet"])
    assert capsys.readouterr().err == (
        "the baseline distilhubet has no scores here, so no system is compared with it; there are: "
        "a, b\n"
    )
    assert "difference from" not in (tmp_path / "out/wer.md").read_text()
    for baseline in ("a", ""):
        main([*command, "--baseline", baseline])
        assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["nothing"], "nothing: no scores.json in it (no such directory)"),
        (["x=exp"], "x=exp: 'x' cannot name several systems (a, b)"),
        (["empty"], "empty: no scores.json in it; score its systems first"),
    ],
)
def test_experiments_that_are_none(tmp_path, monkeypatch, given, message):
    monkeypatch.chdir(tmp_path)
    write_all(tmp_path / "exp", scores("a"), scores("b"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError) as e:
        main(["--out", "out", *given])
    assert message in str(e.value)
    assert not (tmp_path / "out").exists()


def test_results_page_of_an_experiment(tmp_path, capsys):
    write_all(tmp_path / "exp/short", scores("a"), scores("b", wers={"clean": 20.0}))
    page = tmp_path / "RESULTS.md"
    page.write_text("# Mine\n\nWords.\n")
    options = ["--out", str(tmp_path / "out"), "--results", str(page), "--systems", "a"]
    main([*options, "--exp", str(tmp_path / "exp/short"), "--command", "./run.sh --seeds 0"])
    text = page.read_text()
    assert text.startswith("# Mine\n\nWords.\n\n<!-- report: short -->\n\n    ./run.sh --seeds 0\n")
    assert "| clean | 20 | 4 | 10.0 [" in text and "torch " in text
    assert str(tmp_path) not in text
    main([*options[:4], str(tmp_path / "exp/short/b_seed0/scores.json")])
    text = page.read_text()
    assert "<!-- report: out -->" in text and "    espnet-robust report --out" in text


def test_results_page_beside_the_tables(tmp_path):
    write_all(tmp_path / "exp", scores("a"))
    out = tmp_path / "out"
    command = ["--out", str(out), "--results", str(out / "RESULTS.md"), str(tmp_path / "exp")]
    main(command)
    first = (out / "RESULTS.md").read_text()
    main(command)
    main(command)
    assert (out / "RESULTS.md").read_text() == first


def test_the_report_of_another_task_is_removed(tmp_path):
    words, labels = (write_all(tmp_path / t, run) for t, run in (
        ("asr", scores("a")), ("cls", accuracies("a", clean=90.0))))  # fmt: skip
    out = tmp_path / "out"
    write_report(out, labels)
    write_report(out, words)
    assert sorted(p.name for p in out.iterdir()) == [n for n in WER_FILES if "cost" not in n]
    for kind in ("md", "tex"):
        (out / f"accuracy.{kind}").write_text("mine")
    main(["--out", str(out), "--results", str(tmp_path / "RESULTS.md"), *map(str, words)])
    assert (out / "accuracy.md").read_text() == "mine"
    assert "mine" not in (tmp_path / "RESULTS.md").read_text()


def test_old_scores_are_refused_with_one_line(tmp_path):
    path = write_all(tmp_path, scores("a"))[0]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": 1}))
    command = [sys.executable, "-m", "espnet_robust.bin.report", "--out", str(tmp_path / "out")]
    done = subprocess.run([*command, str(path)], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        f"error: {path}: schema 1, this version reads 2; score the system again (in a recipe: "
        "./run.sh --stage 9)\n"
    )


def test_options_of_a_recipes_experiment_choose_nothing_elsewhere(tmp_path, capsys):
    paths = write_all(tmp_path / "exp", scores("a"))
    with pytest.raises(SystemExit):
        main(["--out", str(tmp_path / "out"), "--seeds", "0", str(paths[0])])
    assert "--seeds and --test_sets choose in --exp" in capsys.readouterr().err
