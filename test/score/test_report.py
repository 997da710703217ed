import csv
import itertools

import matplotlib.image
import pytest

from espnet_robust.bin.report import main
from espnet_robust.common.errors import UserError
from espnet_robust.score.counts import Counts, Edits
from espnet_robust.score.metrics import WER
from espnet_robust.score.plot import series
from espnet_robust.score.report import write_report
from espnet_robust.score.results import Spread, gather
from espnet_robust.score.schema import ConditionScore, Scores, write_counts, write_scores
from espnet_robust.score.tables import table


def scores(system, seed=0, wers=None, **extra):
    """Scores with these WERs by condition; a name ending in _snrN has that SNR."""
    conditions = []
    for name, wer in (wers or {"noise_snr5": 50.0, "clean": 10.0, "clip": 30.0}).items():
        snr_db = float(name.split("_snr")[1]) if "_snr" in name else None
        conditions.append(ConditionScore(name, 5, snr_db, words=100, wer=wer, cer=wer / 2))
    return Scores("asr", system, seed, tuple(conditions), **extra)


def cells(markdown, system):
    """Column -> cell of one row of the first table."""
    lines = [line.strip("| ").split(" | ") for line in markdown.splitlines() if line[:1] == "|"]
    row = next(line for line in lines if line[0] == system)
    return dict(zip(lines[0], row, strict=True))


def write_all(directory, *all_scores):
    paths = []
    for s in all_scores:
        path = directory / f"{s.system}_seed{s.seed}" / "scores.json"
        path.parent.mkdir(parents=True)
        write_scores(path, s)
        paths.append(path)
    return paths


def test_one_seed_has_no_spread():
    row = cells(table(gather([scores("a", params=850_000, rtf=0.0123)]), WER), "a")
    assert row == {
        "system": "a",
        "params": "0.85 M",
        "RTF": "0.012",
        "mean distorted": "40.0",
        "clean": "10.0",
        "noise_snr5": "50.0",
        "clip": "30.0",
    }


def test_where_decoding_was_timed():
    def note(*runs):
        results = gather(scores(f"s{i}", rtf=0.1, **run) for i, run in enumerate(runs))
        return table(results, WER).splitlines()[-1]

    one, gpu = {"threads": 1, "device": "cpu"}, {"threads": 2, "device": "NVIDIA H100"}
    assert "duration, on 1 CPU thread." in note(one)
    assert "duration, on 1 CPU thread or NVIDIA H100." in note(one, gpu)
    assert "RTF" not in table(gather([scores("a")]), WER).splitlines()[-1]


def test_mean_and_spread_over_seeds():
    results = gather(scores("a", seed, {"clean": wer}) for seed, wer in enumerate([1.0, 2.0, 6.0]))
    row = cells(table(results, WER), "a")
    assert row["clean"] == "3.0 ± 2.6"  # sample standard deviation sqrt(7)
    assert row["seeds"] == "3"
    assert "mean distorted" not in row


def test_spread_of_the_mean_is_over_seeds():
    results = gather(
        [
            scores("a", 0, {"clean": 1.0, "x": 10.0, "y": 30.0}),
            scores("a", 1, {"clean": 1.0, "x": 30.0, "y": 10.0}),
        ]
    )
    row = cells(table(results, WER), "a")
    assert row["x"] == "20.0 ± 14.1"
    assert row["mean distorted"] == "20.0 ± 0.0"


def test_change_is_relative_to_the_baseline():
    results = gather(
        [scores("base", wers={"clean": 1.0, "x": 40.0}), scores("new", wers={"x": 30.0})]
    )
    text = table(results, WER, "base")
    assert cells(text, "new")["against base"] == "-25 %"
    assert cells(text, "base")["against base"] == "+0 %"


def test_what_is_missing_is_not_averaged_over():
    results = gather(
        [scores("a", wers={"x": 10.0, "y": 20.0}), scores("b", wers={"x": 10.0, "clean": 1.0})]
    )
    row = cells(table(results, WER), "b")
    assert (row["y"], row["mean distorted"], row["params"], row["RTF"]) == ("-", "-", "-", "-")


def test_order_does_not_depend_on_that_of_the_files():
    everything = [scores("b", 1), scores("a", 0), scores("b", 0)]
    tables = {table(gather(p), WER) for p in itertools.permutations(everything)}
    assert len(tables) == 1
    assert gather(everything).names == ["clean", "noise_snr5", "clip"]
    assert [s.name for s in gather(everything).systems] == ["a", "b"]


def test_columns_keep_a_series_together():
    names = ["clip", "noise_snr0", "noise_snr10", "noise_snr5", "pitch", "clean"]
    results = gather([scores("a", wers=dict.fromkeys(names, 1.0))])
    expected = ["clean", "clip", "noise_snr10", "noise_snr5", "noise_snr0", "pitch"]
    assert results.names == expected


def test_systems_can_be_chosen_and_ordered():
    results = gather([scores("a"), scores("b"), scores("c")], order=["c", "a"])
    assert [s.name for s in results.systems] == ["c", "a"]


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
    assert str(Spread.of([1.0])) == "1.0"


def test_csv(tmp_path):
    paths = write_all(tmp_path, scores("a", 1, params=850_000, rtf=0.0123), scores("a", 0))
    write_report(tmp_path / "report", paths)
    lines = (tmp_path / "report/wer.csv").read_text().splitlines()
    assert lines[0] == "system,seed,condition,snr_db,words,wer,cer,params,rtf,device"
    assert lines[1] == "a,0,clean,,100,10.00,5.00,,,"
    assert lines[5] == "a,1,noise_snr5,5,100,50.00,25.00,850000,0.0123,"
    assert len(list(csv.DictReader(lines))) == 6


def test_series_by_falling_snr():
    names = ["noise_in_snr5", "noise_in_snr20", "noise_out_snr10", "clip", "clean"]
    results = gather([scores("a", wers=dict.fromkeys(names, 1.0))])
    assert series(results) == {"noise_in": ["noise_in_snr20", "noise_in_snr5"]}


@pytest.mark.parametrize(
    "wers",
    [
        {"clean": 1.0},
        {"noise_snr5": 120.0, "noise_snr-5": 130.0},
        {"clean": 10.0, "noise_snr5": 50.0, "noise_snr0": 60.0, "clip": 30.0},
    ],
)
def test_plot_can_be_opened_and_repeats(tmp_path, wers):
    paths = write_all(tmp_path, scores("a", wers=wers), scores("b", wers=wers))
    write_report(tmp_path / "one", paths)
    write_report(tmp_path / "two", paths)
    height, width, _ = matplotlib.image.imread(tmp_path / "one/wer.png").shape
    assert width > 300 and height > 300
    assert (tmp_path / "one/wer.png").read_bytes() == (tmp_path / "two/wer.png").read_bytes()


def test_confidence_against_the_baseline(tmp_path):
    paths = write_all(tmp_path, scores("base"), scores("better"), scores("unknown"))
    for name, errors in [("base", 5), ("better", 1)]:
        counts = {f"u{i}": Counts(1, Edits(10, errors, 0, 0)) for i in range(20)}
        write_counts(
            tmp_path / f"{name}_seed0/counts.tsv",
            dict.fromkeys(["clean", "noise_snr5", "clip"], counts),
        )
    write_report(tmp_path / "report", paths, baseline="base")
    text = (tmp_path / "report/wer.md").read_text()
    confidence = text[text.index("## Confidence") :]
    expected = "| 10.0 [10.0, 10.0] | -40.0 [-40.0, -40.0] | 100.0 % "
    assert f"| better {expected * 2}|" in confidence
    assert "| base | 50.0 [50.0, 50.0] | - | - |" in confidence
    assert "Left out: unknown: " in confidence and "counts.tsv: cannot be read" in confidence


def test_confidence_without_baseline(tmp_path):
    paths = write_all(tmp_path, scores("a", wers={"clean": 50.0}))
    counts = {f"u{i}": Counts(1, Edits(10, 5, 0, 0)) for i in range(20)}
    write_counts(tmp_path / "a_seed0/counts.tsv", {"clean": counts})
    write_report(tmp_path / "report", paths)
    text = (tmp_path / "report/wer.md").read_text()
    assert "| system | clean, WER |\n| --- | ---: |\n| a | 50.0 [50.0, 50.0] |\n" in text


def accuracies(system, seed=0, **accuracy):
    conditions = tuple(ConditionScore(name, 20, accuracy=x) for name, x in accuracy.items())
    return Scores("cls", system, seed, conditions, params=1_000_000)


def test_report_of_a_classification_task(tmp_path):
    paths = write_all(
        tmp_path, accuracies("base", clean=90.0, x=50.0), accuracies("new", clean=95.0, x=75.0)
    )
    # 10 and 1 of 20 utterances wrong in each condition: accuracies of 50 and 95 %.
    for name, wrong in [("base", 10), ("new", 1)]:
        counts = {f"u{i}": Counts(1, Edits(1, int(i < wrong))) for i in range(20)}
        write_counts(tmp_path / f"{name}_seed0/counts.tsv", dict.fromkeys(("clean", "x"), counts))
    out = tmp_path / "report"
    write_report(out, paths, baseline="base")
    assert sorted(p.name for p in out.iterdir()) == [
        "accuracy.csv",
        "accuracy.md",
        "accuracy.png",
        "summary.txt",
    ]
    assert (out / "accuracy.csv").read_text().splitlines()[:3] == [
        "system,seed,condition,snr_db,utterances,accuracy,params,rtf,device",
        "base,0,clean,,20,90.00,1000000,,",
        "base,0,x,,20,50.00,1000000,,",
    ]
    text = (out / "accuracy.md").read_text()
    row = cells(text, "new")
    assert (row["clean"], row["x"], row["mean distorted"]) == ("95.0", "75.0", "75.0")
    assert row["against base"] == "+25.0" and "difference in points" in text
    confidence = text[text.index("## Confidence") :]
    row = cells(confidence, "new")
    assert row["clean, accuracy"].startswith("95.0 [")
    assert row["clean, difference"].startswith("+45.0 [") and row["better"] == "100.0 %"
    low, high = map(float, row["clean, accuracy"][6:-1].split(", "))
    assert 80 <= low < 95 < high <= 100
    assert "the higher accuracy" in confidence


def test_command(tmp_path, capsys):
    paths = write_all(tmp_path, scores("a"), scores("b"))
    out = tmp_path / "report"
    main(["--out", str(out), "--systems", "b a", "--baseline", "a", *map(str, paths)])
    files = ["summary.txt", "wer.csv", "wer.md", "wer.png"]
    assert sorted(p.name for p in out.iterdir()) == files
    assert capsys.readouterr().out.strip() == f"report written to {out}"


def test_one_system_of_two_experiments(tmp_path):
    paths = [write_all(tmp_path / name, scores("a"))[0] for name in ("one", "two")]
    with pytest.raises(UserError, match="two scores of system 'a' with seed 0"):
        main(["--out", str(tmp_path), *map(str, paths)])
    main(["--out", str(tmp_path), f"first={paths[0]}", f"second={paths[1]}"])
    table = (tmp_path / "wer.md").read_text()
    assert "| first |" in table and "| second |" in table


def test_unknown_baseline_leaves_nothing(tmp_path):
    paths = write_all(tmp_path, scores("a"), scores("b"))
    with pytest.raises(UserError, match="no scores of a system 'c'; there are: a, b"):
        write_report(tmp_path / "report", paths, baseline="c")
    assert not (tmp_path / "report").exists()


def test_results_page_of_an_experiment(tmp_path, capsys):
    write_all(tmp_path / "exp/short", scores("a"), scores("b", wers={"clean": 20.0}))
    page = tmp_path / "RESULTS.md"
    page.write_text("# Mine\n\nWords.\n")
    options = ["--out", str(tmp_path / "out"), "--results", str(page), "--systems", "a"]
    main([*options, "--exp", str(tmp_path / "exp/short"), "--command", "./run.sh --seeds 0"])
    text = page.read_text()
    assert text.startswith("# Mine\n\nWords.\n\n<!-- report: short -->\n\n    ./run.sh --seeds 0\n")
    assert "| a | - | - | 40.0 | 10.0 |" in text.replace("  ", " ") and "torch " in text
    main([*options[:4], str(tmp_path / "exp/short/b_seed0/scores.json")])
    text = page.read_text()
    assert "<!-- report: out -->" in text and "    espnet-robust report --out" in text
