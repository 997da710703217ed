"""Bad input of a report is named."""

import json
from pathlib import Path

import pytest

from espnet_robust.common.errors import UserError
from espnet_robust.score import reading
from espnet_robust.score.counts_file import read_counts, write_counts
from espnet_robust.score.metrics import WER
from espnet_robust.score.reading import read_runs, speaker_names
from espnet_robust.score.study import study
from test.score.made import scores, write_all, write_run


def change(path, name, **values):
    """Change values of a condition in a scores.json."""
    content = json.loads(path.read_text())
    next(c for c in content["conditions"] if c["name"] == name).update(values)
    path.write_text(json.dumps(content))


def test_what_scoring_went_on_with_is_said(tmp_path):
    paths = write_all(tmp_path, scores("a", 1))
    change(paths[0], "clip", missing=2)
    change(paths[0], "clean", empty=1)
    assert set(read_runs(paths).problems) == {
        "a (seed 1), clip: 2 utterances without hypothesis count as deleted",
        "a (seed 1), clean: 1 empty references, which add insertions only",
    }


def test_audio_that_moved_is_said(tmp_path, monkeypatch):
    paths = write_all(tmp_path, scores("a"))
    change(paths[0], "clip", data_dir="data/test_clip")
    (problem,) = read_runs(paths).problems
    assert problem == "clip: its test set data/test_clip has moved or is deleted"
    monkeypatch.setattr(reading, "MANY", 0)
    (problem,) = read_runs(paths).problems
    assert problem == "1 test sets have moved or are deleted: data/test_clip and others"
    (tmp_path / "data/test_clip").mkdir(parents=True)  # seen from above scores.json
    assert read_runs(paths).problems == ()


def test_the_data_of_each_experiment_are_its_own(tmp_path, monkeypatch):
    here, there = (tmp_path / name for name in ("here", "there"))
    paths = [write_all(at / "exp", scores("a"))[0] for at in (here, there)]
    for at in (here, there):
        (at / "data/test").mkdir(parents=True)
    monkeypatch.chdir(here)
    mine, other = read_runs(paths, names=dict(zip(paths, ("a", "b"), strict=True))).runs
    assert mine.find("data/test") == Path("data/test")  # as named, for the page
    assert other.find("data/test") == there / "data/test"
    (there / "data/test").rmdir()  # an experiment that is kept elsewhere
    assert other.find("data/test") == Path("data/test")
    assert other.find("data/none") is None


def test_intervals_that_cannot_be_are_said(tmp_path):
    path = write_run(tmp_path, scores("a"))
    (problem,) = read_runs([path]).problems
    assert problem == "a (seed 0): no counts.tsv beside its scores.json, so no intervals"


def test_different_references_by_digest(tmp_path):
    one, two = write_all(tmp_path, scores("a"), scores("b"))
    change(one, "clip", reference="1")
    change(two, "clip", reference="2")
    with pytest.raises(UserError) as e:
        read_runs([one, two])
    assert str(e.value) == (
        "condition 'clip': a (seed 0) and b (seed 0) were scored against different references; "
        "score both against one test set, or leave one out with --systems"
    )


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.words.__setitem__((3, 0), 11), "(u03: 10 and 11 words)"),
        (
            lambda t: object.__setattr__(t, "ids", (*t.ids[:-1], "u77")),
            "(2 utterances (u19, u77) in only one of them)",
        ),
    ],
)
def test_different_references_by_utterance(tmp_path, spoil, message):
    paths = write_all(tmp_path, scores("a"), scores("b"))
    counts = read_counts(tmp_path / "b_seed0/counts.tsv")
    spoil(counts["clean"])
    write_counts(tmp_path / "b_seed0/counts.tsv", counts)
    with pytest.raises(UserError) as e:
        read_runs(paths)
    assert "condition 'clean': a (seed 0) and b (seed 0) were scored against" in str(e.value)
    assert message in str(e.value)


def test_other_options_of_scoring(tmp_path):
    paths = write_all(tmp_path, scores("a"), scores("b", normalisation={"case": "lower"}))
    with pytest.raises(UserError) as e:
        read_runs(paths)
    assert str(e.value).startswith(
        "a (seed 0) and b (seed 0) were scored with different normalisation: {} and "
        "{'case': 'lower'}; score one of them again"
    )


def test_utterances_are_drawn_where_there_is_one_speaker(tmp_path):
    paths = write_all(tmp_path, scores("a"))
    assert set(speaker_names(read_runs(paths), ["clean"])["clean"]) == {"s0", "s1", "s2", "s3"}
    path = tmp_path / "a_seed0/counts.tsv"
    counts = read_counts(path)
    for table in counts.values():
        object.__setattr__(table, "speakers", ("s0",) * 20)
    write_counts(path, counts)
    assert speaker_names(read_runs(paths), ["clean"])["clean"] == counts["clean"].ids


def test_of_a_choice_in_a_reference_each_system_has_the_words_nearest_its_own(tmp_path):
    chosen = {"normalisation": {"alternatives": True}}
    paths = write_all(tmp_path, scores("a", **chosen), scores("b", **chosen))
    path = tmp_path / "b_seed0/counts.tsv"
    counts = read_counts(path)
    counts["clean"].words[3, 0] += 1
    write_counts(path, counts)
    assert study(read_runs(paths), WER).rates["b"]["clean"].low is not None
