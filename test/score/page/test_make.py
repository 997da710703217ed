"""What goes into the page, without a browser."""

import base64
import gzip
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from espnet_robust.bin.score import main as score
from espnet_robust.common.errors import UserError
from espnet_robust.data.audio import RATE
from espnet_robust.data.data_dir import iter_table
from espnet_robust.data.words import words
from espnet_robust.score.alignment import count_errors
from espnet_robust.score.metrics import CER, WER
from espnet_robust.score.page.make import make_page
from espnet_robust.score.page.places import playable
from espnet_robust.score.page.spectrogram import BANDS, HOP, LEVELS, WINDOW, pictures, spectrogram
from espnet_robust.score.reading import read_runs
from espnet_robust.score.study import Study, study

BLOCK = re.compile(r'<script type="text/plain" data-name="([\w-]+)">([A-Za-z0-9+/=]*)</script>')


def unpacked(page: Path) -> dict[str, dict]:
    """Name -> content of the page's blocks of data."""
    return {
        name: json.loads(gzip.decompress(base64.b64decode(text)))
        for name, text in BLOCK.findall(page.read_text())
    }


def studies_of(recipe: Path) -> list[Study]:
    """What ``write_report`` returns, without its plots."""
    reading = read_runs(sorted((recipe / "exp/short").glob("*/scores.json")))
    return [study(reading, metric) for metric in (WER, CER)]


@pytest.fixture
def made(experiment, monkeypatch):
    """made(out): the page of the experiment there, and what it holds."""
    monkeypatch.chdir(experiment)

    def made(out: Path) -> tuple[Path, dict[str, dict]]:
        page = make_page(out, studies_of(Path()), title="T", command="./run.sh --seeds 0")
        return page, unpacked(page)

    return made


def test_same_results_same_bytes(made, tmp_path):
    first, again = made(tmp_path)[0].read_bytes(), made(tmp_path)[0].read_bytes()
    assert first == again


def test_nothing_of_a_corpus_is_in_the_markup(made, tmp_path):
    page, blocks = made(tmp_path)
    assert "<script>window" in json.dumps(blocks)
    assert "window.hacked" not in page.read_text() and "spk1" not in page.read_text()


def test_every_condition_has_its_utterances(made, tmp_path):
    _, blocks = made(tmp_path)
    head = blocks["head"]
    assert head["runs"] == [0, 1] and head["made"].endswith("./run.sh --seeds 0")
    for number, condition in enumerate(head["conditions"]):
        block = blocks[f"condition-{number}"]
        assert len(block["ids"]) == condition["utterances"] == 25
        words = np.array(block["errors"]).sum(0)
        cells = head["metrics"][0]["cells"][number]
        total = sum(len(ref.split()) for ref in block["refs"])
        assert np.allclose(100 * words / total, [value for value, *_ in cells], atol=0.001)
        assert all((tmp_path / path).is_file() for path in block["audio"])
        assert bool(block["clean"]) == (condition["name"] != "clean")


def test_equal_hypotheses_are_not_repeated(made, tmp_path):
    _, blocks = made(tmp_path)
    block = blocks["condition-0"]
    for hyps, errors in zip(block["hyps"], block["errors"], strict=True):
        assert all((hyp is None) == (count == 0) for hyp, count in zip(hyps, errors, strict=True))


def test_what_is_gone_is_said(made, experiment, tmp_path, monkeypatch):
    copy = tmp_path / "copy"
    shutil.copytree(experiment, copy)
    monkeypatch.chdir(copy)
    shutil.rmtree("data/test_noise_snr0")
    shutil.rmtree("exp/short/plain_seed0/decode/test/noise_snr10")
    (copy / "out").mkdir()
    blocks = unpacked(make_page("out", studies_of(copy)))
    names = [condition["name"] for condition in blocks["head"]["conditions"]]
    gone, lost = (blocks[f"condition-{names.index(n)}"] for n in ("noise_snr0", "noise_snr10"))
    message = "noise_snr0: its test set data/test_noise_snr0 has moved or is deleted"
    assert gone == {"problem": message}
    assert [hyps[0] for hyps in lost["hyps"]] == [False] * 25  # of plain; robust is there
    assert all(hyps[1] is not False for hyps in lost["hyps"])


def test_an_experiment_elsewhere_is_found(experiment, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    block = unpacked(make_page(out, studies_of(experiment)))["condition-1"]
    assert all((out / path).is_file() for path in [*block["audio"], *block["clean"]])
    assert block["pictures"]


def errors_marked(block: dict, alignment: str) -> list[list[int]]:
    """The errors in the texts that the page has of every utterance and run."""
    found = []
    for ref, hyps in zip(block["refs"], block["hyps"], strict=True):
        pairs = [h if isinstance(h, list) else [ref, ref if h is None else h] for h in hyps]
        sides = [[words(text) for text in side] for side in zip(*pairs, strict=True)]
        found.append(count_errors(*sides, alignment)[:, 1:].sum(1).tolist())
    return found


def test_texts_are_as_scored(made, scored_otherwise, tmp_path, monkeypatch):
    plain = made(tmp_path)[1]
    monkeypatch.chdir(scored_otherwise)
    blocks = unpacked(make_page(tmp_path, studies_of(Path())))
    assert plain["head"]["compared"] == ""
    assert blocks["head"]["compared"].endswith("case lower, punctuation drop, alternatives True.")
    assert blocks["head"]["alignment"] == [3, 4]
    for name, block in blocks.items():
        if name.startswith("condition"):
            assert errors_marked(block, "sclite") == block["errors"]
            assert errors_marked(plain[name], "fewest") == plain[name]["errors"]
            assert any("open" in str(hyps) for hyps in block["hyps"])
    text = Path("exp/short/plain_seed0/compared.tsv").read_text()
    assert "\u00e9\t" in text and "e\u0301" not in text and "open," not in text


def test_texts_in_another_form_of_unicode(experiment, tmp_path, monkeypatch):
    shutil.copytree(experiment, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    decoded = Path("exp/short/plain_seed0/decode/test")
    first = next(iter(dict(iter_table("data/test/text"))))
    for path, word in (("data/test/text", "e\u0301"), (decoded / "clean/text", "\u00e9")):
        table = dict(iter_table(path)) | {first: word}
        Path(path).write_text("".join(f"{utt} {text}\n" for utt, text in table.items()))
    options = ["--system", "plain", "--seed", "0", "--decode_dir", str(decoded)]
    composed, written = (
        ["\u00e9", "\u00e9"],
        "\u00e9",
    )  # with the reference, where it is not as given
    for more, shown, errors in (([], composed, 0), (["--no_nfc"], written, 1)):
        score([*options, *more, "--out", "scores.json", "data/test"])
        reading = read_runs(["scores.json"])
        block = unpacked(make_page(".", [study(reading, WER)]))["condition-0"]
        assert (block["hyps"][0], block["errors"][0]) == ([shown], [errors])
        assert block["words"][0] == 1


def test_scores_without_their_texts_are_said(scored_otherwise, tmp_path):
    shutil.copytree(scored_otherwise / "exp/short", tmp_path / "short")
    paths = sorted(tmp_path.glob("short/*/scores.json"))
    missing, damaged = (path.with_name("compared.tsv") for path in paths)
    missing.unlink()
    said = "no compared.tsv beside its scores.json, so the page marks errors in texts as decoded"
    assert any(said in problem for problem in read_runs(paths).problems)
    damaged.write_text("condition\n")
    with pytest.raises(UserError, match=r"compared.tsv: not a table of condition, utterance"):
        read_runs(paths)


def test_digests_are_no_configuration(made, tmp_path):
    _, blocks = made(tmp_path)
    (output,) = blocks["runs"][0]
    assert output["name"] == "asr" and output["commit"] == "abc1234567"
    assert "optim: adamw" in output["config"] and "data" not in output["config"]


def test_what_a_browser_can_play(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "exp/report"
    Path("a[1:2].wav").touch()
    assert playable("data/x/1.flac", out) == "../../data/x/1.flac"
    assert playable("rec.wav[0.5:-1]", out) == ["../../rec.wav", 0.5, -1.0]
    assert playable("a[1:2].wav", out) == "../../a[1:2].wav"
    assert playable("data/raw.ark:1234", out) is None
    assert playable("sph2pipe a.sph |", out) is None
    assert playable("", out) is None


@pytest.mark.parametrize("hertz", [250, 1000, 4000])
def test_a_tone_lights_its_band(hertz):
    wav = np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE).astype(np.float32)
    cells = spectrogram(wav)
    assert cells.shape == ((RATE - WINDOW) // HOP + 1, BANDS) and cells.max() == LEVELS
    mel = 2595 * np.log10(1 + hertz / 700) / (2595 * np.log10(1 + RATE / 2 / 700))
    assert np.all(np.abs(cells.argmax(1) - BANDS * mel) <= 2)
    assert np.array_equal(spectrogram(0.01 * wav), cells)  # of the loudest cell, not of full scale


def test_pictures_of_those_that_tell_most(experiment, monkeypatch):
    monkeypatch.chdir(experiment)
    audio = [*sorted(map(str, Path("audio").rglob("*.flac")))[:5], "gone.flac"]
    size = spectrogram(np.zeros(9600, np.float32)).size
    drawn = pictures([0, 3, 1, 0, 2, 9], audio, audio, budget=5 * size)
    assert list(drawn) == ["5", "1", "4"] and drawn["5"] == [None, None]
    assert len(base64.b64decode(drawn["1"][0])) == size
    assert pictures([1], audio[:1], [], budget=size)["0"][1:] == []
    assert pictures([1], audio[:1], [], budget=size - 1) == {}
