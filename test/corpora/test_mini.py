import hashlib
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from espnet_robust.bin.prepare_corpus import main
from espnet_robust.common.errors import UserError
from espnet_robust.corpora import espeak, mini
from espnet_robust.corpora.mini_grammar import all_commands, draw_commands, split_commands
from espnet_robust.corpora.synthesis import generator
from espnet_robust.data.audio import RATE, read_audio
from espnet_robust.data.data_dir import read_data_dir, validate_data_dir

PARTS = ("train", "dev", "test")
SMALL = ["--train_utterances", "1", "--dev_utterances", "1", "--test_utterances", "1"]

needs_espeak = pytest.mark.skipif(not shutil.which("espeak-ng"), reason="needs espeak-ng")


def hashes(root: Path) -> dict[str, str]:
    return {
        str(f.relative_to(root)): hashlib.sha256(f.read_bytes()).hexdigest()
        for f in sorted(root.rglob("*.flac"))
    }


@pytest.fixture(scope="module")
def plan():
    numbers = {"train": 66, "dev": 34, "test": 27}
    return mini.plan_utterances(0, numbers)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    out = tmp_path_factory.mktemp("mini")
    main(["mini", "--seed", "3", "--nj", "1", "--out", str(out), *SMALL])
    return out


def test_grammar():
    commands = all_commands()
    assert len({c.text for c in commands}) == len(commands)
    assert 55 <= len({word for c in commands for word in c.text.split()}) <= 90
    assert {len(c.text.split()) for c in commands} == set(range(3, 10))
    assert not any("_" in c.text for c in commands)


def test_no_test_sentence_is_in_train(plan):
    texts = {part: {u["text"] for u in plan[part]} for part in PARTS}
    assert not texts["test"] & texts["train"]
    assert not texts["dev"] & (texts["train"] | texts["test"])


@pytest.mark.parametrize("seed", range(3))
def test_train_has_every_word_and_intent_of_dev_and_test(seed):
    parts = split_commands(generator(seed, "mini sentences"), mini.SENTENCES)
    for of in (lambda c: c.text.split(), lambda c: [c.intent]):
        have = {part: {x for c in commands for x in of(c)} for part, commands in parts.items()}
        assert have["dev"] | have["test"] <= have["train"]
    assert sum(map(len, parts.values())) == len(all_commands())


def test_actions_are_drawn_evenly_and_without_repeats():
    drawn = draw_commands(np.random.default_rng(0), all_commands(), 100)
    assert len(set(drawn)) == 100
    assert set(Counter(c.action for c in drawn).values()) == {10}


@pytest.mark.parametrize("seed", range(5))
def test_voices(seed):
    parts = mini.draw_voices(generator(seed, "mini voices"))
    assert {part: len(voices) for part, voices in parts.items()} == {
        "train": 36,
        "dev": 4,
        "test": 8,
    }
    everyone = [voice for voices in parts.values() for voice in voices]
    assert len({v.id for v in everyone}) == 48
    assert len({(v.accent, v.timbre) for v in everyone}) == 48
    assert {v.accent for v in parts["test"]} == set(mini.ACCENTS)
    assert len({v.timbre for v in parts["test"] + parts["dev"]}) == 12
    for voices in parts.values():
        assert Counter(v.id[0] for v in voices)["f"] == len(voices) // 2
    train = parts["train"]
    assert {v.accent for v in train} == set(mini.ACCENTS)
    assert {v.timbre for v in train} == {t for ts in mini.TIMBRES.values() for t in ts}


@pytest.mark.parametrize("seed", range(3))
def test_wide_test_set(seed):
    """1,080 utterances of voices and sentences that training has not, in new combinations."""
    parts = mini.draw_voices(generator(seed, "mini voices"))
    plans = mini.plan_utterances(seed, {"train": 66, "dev": 34, "test": 27})
    (wide,) = mini.plan_wide(seed, 45).values()
    voices = {(u["speaker"], u["accent"], u["timbre"]) for u in wide}
    assert len(wide) == 1080 and len(voices) == 24
    assert Counter(u["speaker"][0] for u in wide) == {"f": 540, "m": 540}
    others = parts["train"] + parts["dev"]
    assert not {u["speaker"] for u in wide} & {v.id for v in others}
    assert not {(accent, timbre) for _, accent, timbre in voices} & {
        (v.accent, v.timbre) for v in others
    }
    assert {v.id for v in parts["test"]} < {u["speaker"] for u in wide}
    assert not {u["text"] for u in wide} & {u["text"] for u in plans["train"] + plans["dev"]}
    assert not {u["id"] for u in wide} & {u["id"] for plan in plans.values() for u in plan}


@needs_espeak
def test_wide_test_set_leaves_the_others_as_they_are(corpus, tmp_path):
    out = tmp_path / "mini"
    main(["mini", "--seed", "3", "--out", str(out), *SMALL, "--wide_utterances", "1"])
    assert hashes(out / "mini_audio") == hashes(corpus / "mini_audio")
    wide = validate_data_dir(out / "test_wide", audio=True)
    assert len(wide.ids) == len(set(wide.tables["utt2spk"].values())) == 24
    with pytest.raises(UserError, match="test_wide sentences per voice, not 5000"):
        main(["mini", "--seed", "3", "--out", str(out), *SMALL, "--wide_utterances", "5000"])


@needs_espeak
def test_wide_test_set_that_is_no_longer_asked_for(corpus, tmp_path, capsys):
    """It has the voices and sentences of another seed, some of which may be in training now."""
    out = tmp_path / "mini"
    shutil.copytree(corpus, out)
    wide = ["mini", "--seed", "3", "--out", str(out), *SMALL, "--wide_utterances", "1"]
    main(wide)
    audio = hashes(out / "mini_wide_audio")
    main(["mini", "--seed", "3", "--out", str(out), *SMALL])
    assert not (out / "test_wide").exists()
    assert "test_wide: removed: this corpus was asked for without it" in capsys.readouterr().err
    times = {f: f.stat().st_mtime_ns for f in (out / "mini_wide_audio").rglob("*.flac")}
    main(wide)
    validate_data_dir(out / "test_wide", audio=True)
    assert hashes(out / "mini_wide_audio") == audio
    assert all(f.stat().st_mtime_ns == time for f, time in times.items())


@pytest.mark.parametrize(
    ("option", "number", "least"),
    [
        ("mini --train_utterances", 0, 1),
        ("mini --dev_utterances", 0, 1),
        ("mini --test_utterances", -1, 1),
        ("mini --wide_utterances", -1, 0),
        ("mini_keywords --train_takes", 0, 1),
        ("mini_keywords --test_takes", -1, 1),
    ],
)
def test_numbers_that_make_no_data_dir(tmp_path, monkeypatch, capsys, option, number, least):
    monkeypatch.setenv("PATH", str(tmp_path))  # without espeak-ng nothing is made by mistake
    with pytest.raises(SystemExit):
        main([*option.split(), str(number), "--out", str(tmp_path / "data")])
    assert f"invalid number of {least} or more value: '{number}'" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


@needs_espeak
def test_data_dirs(corpus):
    speakers = []
    for part in PARTS:
        data = validate_data_dir(corpus / part, audio=True)
        assert {"utt2dur", "utt2num_samples", "utt2intent"} <= data.tables.keys()
        assert all(text == text.upper() for text in data.tables["text"].values())
        assert all(intent.count("|") == 2 for intent in data.tables["utt2intent"].values())
        speakers += sorted(set(data.tables["utt2spk"].values()))
        for utt, entry in data.wav.items():
            samples = len(read_audio(entry, on_rate="refuse"))
            assert samples == int(data.tables["utt2num_samples"][utt])
            assert samples / RATE == pytest.approx(float(data.tables["utt2dur"][utt]), abs=1e-4)
    assert len(speakers) == len(set(speakers)) == 48


@needs_espeak
def test_levels_and_silence(corpus):
    data = read_data_dir(corpus / "train")
    for entry in data.wav.values():
        wav = read_audio(entry)
        assert np.abs(wav).max() < 0.97
        edge = 20 * np.log10(np.sqrt(np.mean(wav[: RATE // 25] ** 2)))
        assert -80 < edge < -66
        assert -35 < 20 * np.log10(np.sqrt(np.mean(wav**2))) < -20


@needs_espeak
def test_timbres_sound_different():
    # espeak-ng ignores variants of some accents in silence; then all "voices" would be one.
    for accent in mini.ACCENTS:
        said = {
            espeak.speak("lights", f"{accent}+{timbre}", rate=160, pitch=50).tobytes()
            for timbre in ("f1", "f5", "m1", "m6")
        }
        assert len(said) == 4, accent


@needs_espeak
def test_same_bytes_after_a_kill_and_with_two_processes(corpus, tmp_path, monkeypatch):
    command = ["mini", "--seed", "3", "--out", "data", *SMALL]
    monkeypatch.chdir(tmp_path)
    done = 0

    def say_until_killed(item):
        nonlocal done
        done += 1
        if done > 20:
            raise KeyboardInterrupt
        return say(item)

    say = mini.say
    with monkeypatch.context() as m, pytest.raises(KeyboardInterrupt):
        m.setattr(mini, "say", say_until_killed)
        main([*command, "--nj", "1"])
    assert not (tmp_path / "data/train").exists()
    main([*command, "--nj", "2"])
    assert hashes(tmp_path / "data/mini_audio") == hashes(corpus / "mini_audio")


@needs_espeak
def test_another_seed_leaves_nothing_of_the_first(corpus, tmp_path):
    out = tmp_path / "mini"
    shutil.copytree(corpus, out)
    main(["mini", "--seed", "4", "--nj", "1", "--out", str(out), *SMALL])
    first, second = hashes(corpus / "mini_audio"), hashes(out / "mini_audio")
    assert not set(first.values()) & set(second.values())
    assert len(second) == len(read_data_dir(out / "train").ids) + 4 + 8


@needs_espeak
def test_espeak_without_a_voice():
    with pytest.raises(UserError, match=r"espeak-ng \d.* lacks the voice nobody"):
        espeak.version(mini.ACCENTS, ["f1", "nobody"])


@needs_espeak
def test_mistakes(tmp_path, capsys):
    with pytest.raises(UserError, match="test sentences per voice, not 5000"):
        main(["mini", "--out", str(tmp_path), "--test_utterances", "5000"])
    for option in (["--nj", "0"], ["--seed", "-1"], ["--seed", "x"]):
        with pytest.raises(SystemExit):
            main(["mini", "--out", str(tmp_path), *option])
        assert "invalid number of" in capsys.readouterr().err
    (tmp_path / "mini_audio").mkdir()
    (tmp_path / "mini_audio/thesis.txt").write_text("precious")
    with pytest.raises(UserError, match="mini_audio was not made by this command"):
        main(["mini", "--out", str(tmp_path)])
    assert (tmp_path / "mini_audio/thesis.txt").exists()


def test_espeak_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="apt-get install espeak-ng"):
        main(["mini", "--out", str(tmp_path / "data")])
    assert not (tmp_path / "data").exists()
