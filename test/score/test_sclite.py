"""Against NIST's scorer and jiwer, where they are installed (Debian: apt-get install sctk)."""

import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from espnet_robust.score.alignment import count_errors
from espnet_robust.score.counts import score_text, score_utterances
from espnet_robust.score.normalise import Normalisation
from espnet_robust.score.significance import Counted, difference, scatter

SCLITE = shutil.which("sclite") or shutil.which("/usr/lib/sctk/bin/sclite")
needs_sclite = pytest.mark.skipif(not SCLITE, reason="sclite is not installed (Debian: sctk)")


def pairs(number, letters, seed=0):
    rng = random.Random(seed)
    texts = [" ".join(rng.choices(letters, k=rng.randint(1, 10))) for _ in range(2 * number)]
    return texts[:number], texts[number:]


def sclite(tmp_path: Path, refs, hyps, *options):
    """[words, sub, ins, del] of every utterance."""
    for name, texts in (("ref", refs), ("hyp", hyps)):
        lines = (f"{text} (s-u{n:05d})\n" for n, text in enumerate(texts))
        (tmp_path / name).write_text("".join(lines))
    command = [SCLITE, *options, "-r", "ref", "trn", "-h", "hyp", "trn", "-i", "swb"]
    command += ["-s", "-o", "pra", "stdout"]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    found = re.findall(r"id: \(s-u(\d+)\)\s+Scores: \(#C #S #D #I\) (\d+) (\d+) (\d+) (\d+)", shown)
    rows = {int(n): tuple(map(int, row)) for n, *row in found}
    return [[c + s + d, s, i, d] for c, s, d, i in (rows[n] for n in range(len(refs)))]


@needs_sclite
@pytest.mark.parametrize("letters", ["abc", "abcdefgh"])
def test_every_utterance_is_counted_as_by_sclite(tmp_path, letters):
    refs, hyps = pairs(2000, letters)
    ours = count_errors([r.split() for r in refs], [h.split() for h in hyps], "sclite")
    assert ours.tolist() == sclite(tmp_path, refs, hyps)


@needs_sclite
def test_the_fewest_errors_are_not_always_those_of_sclite(tmp_path):
    refs, hyps = pairs(2000, "abc")
    ours = count_errors([r.split() for r in refs], [h.split() for h in hyps])
    theirs = sclite(tmp_path, refs, hyps)
    assert ours.tolist() != theirs
    assert all(sum(o[1:]) <= sum(t[1:]) for o, t in zip(ours.tolist(), theirs, strict=True))


@needs_sclite
def test_alternatives_and_optional_words(tmp_path):
    refs = ["{ a / b c } d", "{ a / b c } d", "x (y) z", "x (y) z", "x (y) z", "{ um / @ } yes",
            "{ um / @ } yes", "{ u h / { k / l } m } yes", "p (q) (r) s"]  # fmt: skip
    hyps = ["b c d", "a d", "x z", "x y z", "x q z", "yes", "um yes", "k m yes", "p r s"]
    ids = [f"u{n}" for n in range(len(refs))]
    ours = score_utterances(
        dict(zip(ids, refs, strict=True)), dict(zip(ids, hyps, strict=True)),
        normalise=Normalisation(alternatives=True), alignment="sclite",
    )  # fmt: skip
    assert ours.words.tolist() == sclite(tmp_path, refs, hyps, "-D")


@needs_sclite
@pytest.mark.parametrize("letters", ["abc", "abcdefgh"])
def test_random_optional_words(tmp_path, letters):
    rng = random.Random(1)
    refs, hyps = pairs(1000, letters)
    refs = [" ".join(f"({w})" if rng.random() < 0.35 else w for w in r.split()) for r in refs]
    by_id = [{f"u{n}": text for n, text in enumerate(texts)} for texts in (refs, hyps)]
    normalise = Normalisation(alternatives=True)
    ours = score_utterances(*by_id, normalise=normalise, alignment="sclite").words.tolist()
    theirs = sclite(tmp_path, refs, hyps, "-D")
    assert ours == theirs
    fewest = score_utterances(*by_id, normalise=normalise).words.tolist()
    assert all(sum(f[1:]) <= sum(t[1:]) for f, t in zip(fewest, theirs, strict=True))


def test_rates_are_those_of_jiwer():
    jiwer = pytest.importorskip("jiwer")
    refs, hyps = pairs(300, "abcdef")
    ours = score_text(dict(enumerate(refs)), dict(enumerate(hyps)))
    assert ours.wer == pytest.approx(100 * jiwer.wer(refs, hyps))
    assert ours.cer == pytest.approx(100 * jiwer.cer(refs, hyps))


@needs_sclite
def test_matched_pairs_are_those_of_sc_stats(tmp_path):
    """Two words an utterance, so that sc_stats' segments are utterances."""
    rng = random.Random(3)
    refs = [" ".join(rng.choices("abcdefgh", k=2)) for _ in range(400)]
    systems = {}
    for name, wrong in (("one", 0.20), ("two", 0.235)):
        systems[name] = [
            " ".join(word if rng.random() > wrong else "z" for word in ref.split()) for ref in refs
        ]
    shown = ""
    for name, texts in {"ref": refs, **systems}.items():
        lines = (f"{text} (s{n % 20}-u{n:05d})\n" for n, text in enumerate(texts))
        (tmp_path / name).write_text("".join(lines))
    for name in systems:
        command = [
            SCLITE,
            "-r",
            "ref",
            "trn",
            "-h",
            name,
            "trn",
            "-i",
            "swb",
            "-o",
            "sgml",
            "stdout",
        ]
        shown += subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout
    sc_stats = [str(Path(SCLITE).with_name("sc_stats")), "-p", "-t", "mapsswe", "-u", "-n", "out"]
    subprocess.run(sc_stats, cwd=tmp_path, input=shown, text=True, check=True, capture_output=True)
    report = (tmp_path / "out.stats.unified").read_text()
    theirs = float(re.search(r"MP +\|\| +one +\| +\| +\S+ +<?(\d\.\d+)", report)[1])
    counted = {}
    for name, texts in systems.items():
        words = score_utterances(dict(enumerate(refs)), dict(enumerate(texts))).words
        errors = words[:, 1:].sum(1).astype(float)
        counted[name] = Counted(words[None, :, 0].astype(float), errors[None, None])
    both = scatter(counted)
    assert difference(both["one"], both["two"]).p == pytest.approx([theirs], rel=0.15)
    assert 0.005 < theirs < 0.5
