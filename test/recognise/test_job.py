import pytest

from espnet_robust.bin import classify, decode
from espnet_robust.common.errors import ConfigError
from espnet_robust.recognise.job import parse_search_options, search_options, undone


@pytest.fixture
def experiment(tmp_path):
    """(experiment, test sets) with one condition."""
    for path, text in (
        ("exp/config.yaml", "a: 1\n"),
        ("exp/best.pth", "weights"),
        ("a.wav", "audio"),
        ("test/wav.scp", f"a {tmp_path}/a.wav\n"),
        ("test_noise/wav.scp", f"a {tmp_path}/a.wav\n"),
        ("test_noise/distortion.json", "{}"),
    ):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path / "exp", {
        "test": {"clean": tmp_path / "test", "noise": tmp_path / "test_noise"}
    }


def test_decoded_once_and_again_when_anything_changes(experiment, tmp_path):
    exp, sets = experiment
    out = tmp_path / "decode"

    def todo(options: str = "greedy") -> int:
        found = undone(sets, out, exp, "best.pth", {"search": options})
        for output, _ in found:
            output.begin()
            (out / "test/decode.json").write_text("{}")
            output.finish(["decode.json"])
        return len(found)

    assert (todo(), todo()) == (1, 0)
    assert (todo("beam"), todo("beam"), todo()) == (1, 0, 1)
    for path in (exp / "config.yaml", exp / "best.pth", tmp_path / "a.wav",
                 sets["test"]["noise"] / "distortion.json"):  # fmt: skip
        path.write_text(path.read_text() + "\n")
        assert (todo(), todo()) == (1, 0), path
    (out / "test/decode.json").write_text("{ }")  # what is damaged is made again
    assert (todo(), todo()) == (1, 0)


def test_decoded_again_when_the_model_that_joins_tokens_changes(experiment, tmp_path):
    exp, sets = experiment
    bpe = tmp_path / "bpe.model"
    bpe.write_text("model")
    (exp / "config.yaml").write_text(f"bpemodel: {bpe}\n")

    def todo() -> int:
        found = undone(sets, tmp_path / "decode", exp, "best.pth", {})
        for output, _ in found:
            output.begin()
            output.finish([])
        return len(found)

    assert (todo(), todo()) == (1, 0)
    bpe.write_text("other")
    assert (todo(), todo()) == (1, 0)


def test_nothing_to_decode(capsys):
    with pytest.raises(SystemExit):
        decode.main(["--exp", "exp", "--out", "decode"])
    assert "name data dirs, or --test_sets" in capsys.readouterr().err


DECODE = ["--exp", "exp", "--out", "out", "data/test"]


@pytest.mark.parametrize(
    "words",
    ["", "--beam_size 3", "--method beam --batch-seconds 9", "--method=beam --ctc_weight 0.5"],
)
def test_a_recipe_records_what_the_command_does(words):
    args = decode.get_parser().parse_args([*words.split(), *DECODE])
    assert search_options(args) == parse_search_options(words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--metod beam", "^--decode_options: unrecognized arguments: --metod beam; they are"),
        ("--method baem", "^--decode_options: .*invalid choice: 'baem'"),
        ("--method beam --beam 20", "unrecognized arguments: --beam 20"),
        ("--method beam --beam_size ten", "invalid int value: 'ten'"),
        ("--out elsewhere", "unrecognized arguments: --out"),  # the recipe gives it
        ("data/other", "unrecognized arguments: data/other"),
        ("--method beam --beam_size 0", "need beam_size >= 1 and ctc_weight in 0..1, got 0 and"),
        ("--method beam --ctc_weight 3", "ctc_weight in 0..1, got 10 and 3.0"),
        ("--method beam --ctc_weight nan", "got 10 and nan"),
    ],
)
def test_refused_options_of_a_recipe(words, message):
    with pytest.raises(ConfigError, match=message):
        parse_search_options(words)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "0", "-1", "many"])
def test_seconds_of_a_batch_that_are_none(value, capsys):
    message = f"argument --batch_seconds: need a number of seconds above 0, got '{value}'"
    for command in (decode, classify):
        with pytest.raises(SystemExit):
            command.get_parser().parse_args([f"--batch_seconds={value}", *DECODE])
        assert message in capsys.readouterr().err
    with pytest.raises(ConfigError, match=message):
        parse_search_options(f"--batch_seconds={value}")


def test_no_option_may_be_abbreviated(capsys):
    """A recipe would record the default in its place."""
    with pytest.raises(SystemExit):
        decode.main(["--method", "beam", "--beam", "20", *DECODE])
    assert "unrecognized arguments: --beam" in capsys.readouterr().err
