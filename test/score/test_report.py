import csv
import itertools
import re
import subprocess
from pathlib import Path
from shutil import which

import matplotlib.image
import pytest

from espnet_robust.common.errors import UserError
from espnet_robust.score.counts_file import UNKNOWN, read_counts, write_counts
from espnet_robust.score.report import write_report
from espnet_robust.score.results import Spread, gather
from espnet_robust.score.schema import ConditionScore, Scores
from test.score.made import WER_FILES, accuracies, cells, scores, write_all, write_run


def report(tmp_path: Path, *runs: Scores, **options) -> str:
    """The Markdown of a report."""
    write_report(tmp_path / "report", write_all(tmp_path, *runs), **options)
    return (tmp_path / "report/wer.md").read_text()


def test_conditions_down_systems_across(tmp_path):
    text = report(tmp_path, scores("a"), scores("b", wers={"clean": 20.0, "clip": 40.0}))
    assert re.findall(r"^\| (\w+|mean distorted) \|", text, re.MULTILINE)[:5] == [
        "condition", "clean", "noise_snr5", "clip", "mean distorted",
    ]  # fmt: skip
    row = cells(text, "clip")
    assert (row["utterances"], row["speakers"]) == ("20", "4")
    assert re.fullmatch(r"30.0 \[\d+\.\d, \d+\.\d\]", row["a"])
    assert cells(text, "mean distorted")["a"].startswith("40.0 [")
    # b was not tested with noise, and so has no mean over the distorted conditions.
    assert (cells(text, "noise_snr5")["b"], cells(text, "mean distorted")["b"]) == ("-", "-")


def test_mean_and_spread_over_seeds(tmp_path):
    runs = [scores("a", n, {"clean": wer}) for n, wer in enumerate([10.0, 20.0, 60.0])]
    text = report(tmp_path, *runs)
    assert cells(text, "clean")["a"].startswith("30.0 ± 26.5 [0.0, ")  # three seeds tell little
    assert "`±`: standard deviation over seeds." in text
    assert "over speakers and, if there are several, over seeds" in text
    assert cells(text, "seeds", 2)["a"] == "0 1 2"


def test_marks_and_differences_from_the_baseline(tmp_path):
    runs = [scores("base"), scores("same"), scores("good", wers=dict.fromkeys(
        ("clean", "noise_snr5", "clip"), 5.0))]  # fmt: skip
    text = report(tmp_path, *runs, baseline="base")
    assert cells(text, "noise_snr5")["good"].endswith("] +")
    assert cells(text, "noise_snr5")["same"].endswith("]")
    change = cells(text, "noise_snr5", 1)
    assert change["good"].startswith("-45.0 [") and ", p = 0.0" in change["good"]
    assert change["same"] == "+0.0 [+0.0, +0.0], p = 1.000"
    assert "base" not in change
    assert "Holm's correction over the conditions" in text


def test_the_p_of_the_mean_is_said_to_be_of_one_test(tmp_path):
    text = report(tmp_path, scores("base"), scores("good", wers={"clean": 5.0, "clip": 5.0}),
                  baseline="base")  # fmt: skip
    assert text.count("; the p of `mean distorted`, one test, is not corrected.") == 4  # and CER
    alone = [scores(name, wers={"clean": 5.0, "clip": 9.0}) for name in ("base", "good")]
    assert "not corrected" not in report(tmp_path / "alone", *alone, baseline="base")


@pytest.mark.parametrize("speaker", ["s0", UNKNOWN])
def test_what_is_drawn_is_said(tmp_path, speaker):
    paths = write_all(tmp_path, scores("a"))
    counts = read_counts(paths[0].with_name("counts.tsv"))
    for table in counts.values():
        object.__setattr__(table, "speakers", (speaker,) * 20)
    write_counts(paths[0].with_name("counts.tsv"), counts)
    write_report(tmp_path / "report", paths)
    text = (tmp_path / "report/wer.md").read_text()
    assert "by bootstrap over utterances (fewer than two speakers are known)." in text


def test_no_edits_where_a_seed_is_missing(tmp_path):
    one = {"sub": 5, "ins": 1, "del": 2}
    tested = [ConditionScore(name, 4, words=100, errors=one, wer=8.0) for name in ("clean", "clip")]
    runs = [Scores("asr", "a", seed, tuple(tested[: 2 - seed])) for seed in (0, 1)]
    write_report(tmp_path / "report", [write_run(tmp_path, run) for run in runs])
    text = (tmp_path / "report/wer.md").read_text()
    assert (cells(text, "clip")["a"], cells(text, "clip", 1)["a"]) == ("-", "-")
    assert cells(text, "clean", 1)["a"] == "5.0 / 2.0 / 1.0"


def test_substitutions_and_conditions_and_cost(tmp_path):
    run = Scores(
        "asr", "a", 0,
        (ConditionScore("clean", 4, words=100, errors={"sub": 5, "ins": 1, "del": 2}, wer=8.0,
                        meaning="as recorded", speakers=2),),
        params=1_600_000, speech_model_params=900_000, macs=84_000_000, rtf=0.0123, threads=1,
        device="cpu",
    )  # fmt: skip
    write_report(tmp_path / "report", [write_run(tmp_path, run, {"clean": 8.0})])
    text = (tmp_path / "report/wer.md").read_text()
    assert cells(text, "clean", 1) == {"condition": "clean", "a": "5.0 / 2.0 / 1.0"}
    values = {row: cells(text, row, 2)["a"] for row in (
        "speech model, parameters", "recogniser on it, parameters", "real-time factor",
        "speech model, multiply-accumulates for 1 s of speech")}  # fmt: skip
    assert list(values.values()) == ["0.90 M", "0.70 M", "0.012", "84.00 M"]
    assert "on 1 CPU thread." in text
    assert cells(text, "clean", 3)["speech"] == "as recorded"


PROBED = """epoch,split,distill,domain_probe,domain_probe_deviation
1,train,2.6,,
1,valid,2.4,0.9,0.8
2,train,2.2,,
2,valid,2.0,{},0.7
3,valid,2.1,0.2,0.3
"""


def write_curves(path, text):
    """Those of a distillation, of whose student ``path`` has the scores."""
    (path.parent / "asr").mkdir()
    (path.parent / "distill").mkdir()
    (path.parent / "distill/curves.csv").write_text(text)


def test_the_domain_probes_of_the_epoch_that_is_exported(tmp_path):
    runs = [scores("a", 0), scores("a", 1), scores("teacher", 0), scores("teacher", 1)]
    paths = write_all(tmp_path, *runs)
    write_curves(paths[0], PROBED.format("0.5"))
    write_curves(paths[1], PROBED.format("0.6"))
    write_report(tmp_path / "report", paths)
    text = (tmp_path / "report/wer.md").read_text()
    line = next(line for line in text.splitlines() if line.startswith("| domain probe of the mean"))
    assert line == "| domain probe of the mean | 0.55 ± 0.07 | - |"
    assert "| domain probe of the deviation | 0.70 ± 0.00 | - |" in text
    assert "Domain probe: balanced accuracy" in text


def test_without_a_distillation_or_a_probe_there_is_no_line_for_it(tmp_path):
    paths = write_all(tmp_path, scores("a"))
    write_curves(paths[0], "epoch,split,distill\n1,valid,2\n")
    write_report(tmp_path / "report", paths)
    assert "omain probe" not in (tmp_path / "report/wer.md").read_text()


def test_damaged_curves(tmp_path):
    paths = write_all(tmp_path, scores("a"))
    write_curves(paths[0], "epoch,split,distill\n1,valid,\n")
    with pytest.raises(UserError, match=r"curves\.csv: damaged; distil again"):
        write_report(tmp_path / "report", paths)


def test_order_does_not_depend_on_that_of_the_files():
    everything = [scores("b", 1), scores("a", 0), scores("b", 0)]
    found = {str(gather(p)) for p in itertools.permutations(everything)}
    assert len(found) == 1
    assert gather(everything).names == ["clean", "noise_snr5", "clip"]
    assert [s.name for s in gather(everything).systems] == ["a", "b"]


def test_rows_keep_a_series_together():
    names = ["clip", "noise_snr0", "noise_snr10", "noise_snr5", "pitch", "clean"]
    results = gather([scores("a", wers=dict.fromkeys(names, 1.0))])
    expected = ["clean", "clip", "noise_snr10", "noise_snr5", "noise_snr0", "pitch"]
    assert results.names == expected


def test_systems_can_be_chosen_and_ordered():
    results = gather([scores("a"), scores("b"), scores("c")], order=["c", "a"])
    assert [s.name for s in results.systems] == ["c", "a"]


def test_systems_left_out_decide_nothing():
    other = Scores("asr", "b", 0, (ConditionScore("noise_snr5", 1, 6.0), ConditionScore("x", 1)))
    results = gather([scores("a"), other, other], order=["a"])
    assert results == gather([scores("a")])


@pytest.mark.parametrize(
    ("all_scores", "message"),
    [
        ([], "no scores to report"),
        ([scores("a"), scores("a")], "two scores of system 'a' with seed 0"),
        (
            [scores("a"), Scores("cls", "b", 0, (ConditionScore("clean", 1),))],
            "different tasks cannot share a table: asr, cls",
        ),
        (
            [scores("a"), Scores("asr", "b", 0, (ConditionScore("noise_snr5", 1, 6.0),))],
            "'noise_snr5' has an SNR of 5.0 dB in one score and 6.0 dB in another",
        ),
    ],
)
def test_what_cannot_be_gathered(all_scores, message):
    with pytest.raises(UserError) as e:
        gather(all_scores)
    assert message in str(e.value)


def test_spread():
    assert Spread.of([]) is None
    assert Spread.of([1.0, None]) is None
    assert Spread.of([1.0]) == Spread(1.0, None)
    assert Spread.of([1.0, 3.0]).std == pytest.approx(2**0.5)


def test_csv(tmp_path):
    paths = write_all(tmp_path, scores("a", 1, params=850_000, rtf=0.0123), scores("a", 0))
    write_report(tmp_path / "report", paths, baseline="a")
    lines = (tmp_path / "report/wer.csv").read_text().splitlines()
    rows = list(csv.DictReader(lines))
    assert len(rows) == 6
    assert [rows[0][key] for key in ("system", "seed", "condition", "words", "wer", "cer")] == [
        "a", "0", "clean", "200", "10.00", "5.00",
    ]  # fmt: skip
    assert (rows[5]["params"], rows[5]["rtf"], rows[4]["snr_db"]) == ("850000", "0.0123", "5")
    assert float(rows[0]["wer_low"]) < 10 < float(rows[0]["wer_high"])
    assert rows[0]["wer_difference"] == rows[0]["wer_p"] == ""  # it is the baseline


@pytest.mark.parametrize(
    "wers",
    [
        {"clean": 1.0},
        {"noise_snr5": 120.0, "noise_snr-5": 130.0},
        {"clean": 10.0, "noise_snr5": 50.0, "noise_snr0": 60.0, "clip": 30.0},
        {"clean": 10.0, "room_rt60_0.3": 20.0, "room_rt60_0.9": 40.0},
    ],
)
def test_plots_can_be_opened(tmp_path, wers):
    report(tmp_path, scores("a", wers=wers), scores("b", wers=wers))
    height, width, _ = matplotlib.image.imread(tmp_path / "report/wer.png").shape
    assert width > 300 and height > 300
    assert (tmp_path / "report/wer.svg").read_text().lstrip().startswith("<?xml")


@pytest.mark.parametrize(("other", "panels"), [({}, 1), ({"clip": 30.0}, 2)])
def test_clean_speech_beside_a_curve_has_no_bars_of_its_own(tmp_path, other, panels):
    wers = {"clean": 10.0, "room_rt60_0.252": 20.0, "room_rt60_0.9": 40.0} | other
    report(tmp_path, scores("a", wers=wers))
    drawn = (tmp_path / "report/wer.svg").read_text()
    assert len(re.findall(r'id="axes_\d+"', drawn)) == panels
    assert "<!-- 0.25 -->" in drawn and "0.252" not in drawn


def test_the_same_scores_give_the_same_bytes(tmp_path):
    paths = write_all(tmp_path, scores("a", rtf=0.1, macs=5), scores("b", rtf=0.2, macs=7))
    for out in ("one", "two"):
        write_report(tmp_path / out, paths)
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == WER_FILES
    for name in WER_FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_no_plot_of_costs_that_nobody_knows(tmp_path):
    paths = write_all(tmp_path, scores("a", rtf=0.1), scores("b", rtf=0.2))
    write_report(tmp_path / "report", paths)
    assert (tmp_path / "report/cost.png").exists()
    write_report(tmp_path / "report", write_all(tmp_path / "other", scores("a"), scores("b")))
    assert not (tmp_path / "report/cost.png").exists()


def test_tex_is_what_latex_takes(tmp_path):
    conditions = (
        ConditionScore("noise_snr5", 5, 5.0, words=9, wer=50.0, meaning="100 % {x} ~^\\"),
    )
    paths = [write_run(tmp_path, Scores("asr", "a_b & c", 0, conditions))]
    write_report(tmp_path / "report", paths)
    text = (tmp_path / "report/wer.tex").read_text()
    assert r"a\_b \& c" in text
    assert r"100 \% \{x\} \textasciitilde{}\textasciicircum{}\textbackslash{}" in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") > 1
    if which("pdflatex"):
        document = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}"
        (tmp_path / "x.tex").write_text(f"{document}\n{text}\n\\end{{document}}\n")
        subprocess.run(["pdflatex", "-interaction=batchmode", "x"], cwd=tmp_path, check=True)


def test_what_corpora_say_is_no_markup(tmp_path):
    conditions = (
        ConditionScore("clean", 5, words=9, wer=5.0, meaning="<script>alert(1)</script> | x"),
    )
    write_report(tmp_path / "report", [write_run(tmp_path, Scores("asr", "<b>", 0, conditions))])
    text = (tmp_path / "report/wer.md").read_text()
    assert "<script" not in text and "<b>" not in text
    assert r"&lt;script&gt;alert(1)&lt;/script&gt; \| x" in text
    assert "<b>" not in (tmp_path / "report/wer.svg").read_text()


def test_report_of_a_classification_task(tmp_path):
    paths = write_all(
        tmp_path, accuracies("base", clean=90.0, x=50.0), accuracies("new", clean=95.0, x=80.0)
    )
    out = tmp_path / "report"
    write_report(out, paths, baseline="base")
    assert sorted(p.name for p in out.iterdir()) == [
        *(f"accuracy.{kind}" for kind in ("csv", "md", "png", "svg", "tex")), "summary.txt",
    ]  # fmt: skip
    row = next(csv.DictReader((out / "accuracy.csv").open()))
    assert (row["condition"], row["accuracy"], row["params"]) == ("clean", "90.00", "1000000")
    text = (out / "accuracy.md").read_text()
    low, high = map(float, re.search(r"80.0 \[(.*), (.*)\]", cells(text, "x")["new"]).groups())
    assert 40 < low < 80 < high <= 100
    assert cells(text, "x", 1)["new"].startswith("+30.0 [") and "higher is better" in text


def test_unknown_baseline_leaves_nothing(tmp_path):
    paths = write_all(tmp_path, scores("a"), scores("b"))
    with pytest.raises(UserError, match="no scores of a system 'c'; there are: a, b"):
        write_report(tmp_path / "report", paths, baseline="c")
    assert not (tmp_path / "report").exists()
