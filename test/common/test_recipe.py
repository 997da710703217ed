"""What recipes refuse before they run, and the sources of noises they know."""

import pytest

from espnet_robust.common.errors import ConfigError, UserError
from espnet_robust.common.experiment import CHECKOUT, CONF, Recipe
from espnet_robust.common.launch import Ranks
from espnet_robust.common.recipe import (
    DIRECTORIES,
    check_directories,
    check_dumpdir,
    check_names,
    check_nbpe,
    check_noise,
    check_numbers,
    check_seeds,
    check_stages,
    check_trainings,
    find_protocols,
    forget_noise,
    read_noise_source,
    record_noise,
    wanted_stages,
)
from espnet_robust.corpora import CORPORA

SOURCES = sorted(path.stem for path in (CONF / "noise").glob("*.yaml"))


@pytest.mark.parametrize("name", SOURCES)
def test_shipped_sources_name_what_there_is(name):
    source = read_noise_source(name)
    assert {entry["corpus"] for entry in source.data} <= set(CORPORA)
    assert set(source.directories) <= set(DIRECTORIES)
    used = {option for option in DIRECTORIES if f"{{{option}}}" in str(source.data)}
    assert used == set(source.directories)
    assert all((CHECKOUT / protocol).is_file() for protocol in source.protocols)


def test_a_directory_that_is_not_named_or_not_there(tmp_path):
    with pytest.raises(UserError, match="paper needs --musan DIR, which holds music/"):
        check_directories("paper", {"musan": ""})
    named = dict.fromkeys(DIRECTORIES, str(tmp_path))
    check_directories("paper", named)
    with pytest.raises(UserError, match=r"--dns .*none: no such directory; it holds noise_full"):
        check_directories("paper", named | {"dns": str(tmp_path / "none")})
    check_directories("synthetic", {})


def test_unknown_source():
    with pytest.raises(ConfigError, match="unknown noise_source 'papper', did you mean 'paper"):
        read_noise_source("papper")
    with pytest.raises(ConfigError, match="--noise_source nosuchdir/x: no such directory$"):
        read_noise_source("nosuchdir/x")


def test_noises_of_another_source(tmp_path):
    """Directories that are not given may be any; so may all if nothing says what they were."""
    check_noise("synthetic", {}, tmp_path)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    own = {"noise": str(tmp_path / "a"), "rir": str(tmp_path / "b")}
    record_noise("own", own, tmp_path)
    for given in (own, {}, {"noise": f"{tmp_path}/b/../a", "wham": "x"}):
        check_noise("own", given, tmp_path)
    with pytest.raises(UserError, match=r"else: directories rir.*; begin with --stage 2$"):
        check_noise("own", own | {"rir": own["noise"]}, tmp_path)
    with pytest.raises(UserError, match=r"noise_source: own -> synthetic; .*--stage 2$"):
        check_noise("synthetic", {}, tmp_path)
    forget_noise(tmp_path)
    check_noise("synthetic", {}, tmp_path)


def test_the_mend_for_data_that_exist_works_as_it_stands(tmp_path, follow):
    data, there = tmp_path / "my data", tmp_path / "large disk/dump"
    data.mkdir()
    with pytest.raises(UserError, match="not a link to it; fix: mkdir -p ") as e:
        check_dumpdir(data, there)
    follow(e.value)
    check_dumpdir(data, there / "data")
    assert (there / "data").is_dir() and not data.exists()


@pytest.mark.parametrize("stage", ["0", "13", "x", ""])
def test_stages(stage):
    with pytest.raises(ConfigError, match=f"stage '{stage}' does not exist: stages are 1 to 12"):
        check_stages("1", stage)
    check_stages("1", "12")


def test_stages_that_are_skipped():
    assert wanted_stages("2", "6", " 1 2 3") == [4, 5, 6]
    with pytest.raises(ConfigError, match="no stage from 1 to 3 is left: all are skipped"):
        wanted_stages("1", "3", "1 2 3")


@pytest.mark.parametrize(
    ("nj", "ngpu", "message"),
    [
        ("0", 0, "nj '0' is not a number of processes"),
        ("x", 0, "nj 'x' is not"),
        ("1", 2, "ngpu 2: torch finds 1 here, and stages 5 to 8 use them; try --ngpu 0"),
    ],
)
def test_numbers(nj, ngpu, message):
    with pytest.raises(ConfigError, match=message):
        check_numbers(nj, Ranks(ngpu), gpus=1)


@pytest.mark.parametrize("names", [["x#w f"], ["../up"], ["a*"], ["-x"], [""], ["a/b"]])
def test_names_that_name_no_directory(names):
    with pytest.raises(ConfigError, match="--train_set .*: names may have letters, digits"):
        check_names("train_set", names)
    check_names("train_set", ["fold1_train", "et05-simu.1"])
    with pytest.raises(ConfigError, match="--systems: name at least one"):
        check_names("systems", [])


@pytest.mark.parametrize("seeds", [[], ["-1"], ["0", "x"], ["1.5"], ["1", "01"], ["00"], ["٣"]])
def test_seeds(seeds):
    with pytest.raises(ConfigError, match="need whole numbers from 0"):
        check_seeds(seeds)
    check_seeds(["0", "12"])


@pytest.mark.parametrize("nbpe", ["", "foo", "-5", "0", "2", "1e2", "0100", "٣٠"])
def test_no_size_of_a_vocabulary(nbpe):
    with pytest.raises(ConfigError, match="^--nbpe .*need the size .* at least 3, such as 100$"):
        check_nbpe(nbpe)
    check_nbpe("3")


def test_nothing_is_named_twice():
    """Two trainings would work in one directory."""
    with pytest.raises(ConfigError, match="--systems 'a b a': a stands there twice; name it once"):
        check_names("systems", ["a", "b", "a"])
    with pytest.raises(ConfigError, match="--seeds '0 1 1': 1 stands there twice"):
        check_seeds(["0", "1", "1"])


def test_every_system_is_put_together_before_anything_runs(tmp_path):
    (tmp_path / "conf/distill").mkdir(parents=True)
    (tmp_path / "conf/distill/mine.yaml").write_text("{base: cdm1, distortion: gone.yaml}")
    with pytest.raises(ConfigError, match="gone.yaml: no such file"):
        check_trainings("asr", ["teacher", "cdm1", "mine"], Recipe(tmp_path), "short", "")


def test_trainings():
    recipe = Recipe(CHECKOUT / "egs/mini/asr1")
    check_trainings("asr", ["teacher", "cdm1_mse"], recipe, "short", "")
    with pytest.raises(ConfigError, match="no budget 'huge'"):
        check_trainings("asr", ["teacher"], recipe, "huge", "")
    with pytest.raises(ConfigError, match="unknown system 'cdm1_mse'"):
        check_trainings("asr", ["cdm1_mse"], Recipe(CHECKOUT / "egs/fsdd/asr1"), "short", "")
    with pytest.raises(ConfigError, match="classifier 'svm'"):
        check_trainings("cls", ["teacher"], recipe, "short", "svm")


def test_protocols_by_name_or_path(tmp_path):
    (tmp_path / "conf/distortion").mkdir(parents=True)
    (tmp_path / "conf/distortion/mine.yaml").write_text("conditions: {}\n")
    mini = CHECKOUT / "egs/mini/asr1"
    both = find_protocols(["mini_test", "rt60_grid"], mini)
    assert both == [f"../../../conf/distortion/{name}.yaml" for name in ("mini_test", "rt60_grid")]
    assert find_protocols(["mine", "a/b.yaml"], tmp_path) == [
        "conf/distortion/mine.yaml",
        "a/b.yaml",
    ]
    with pytest.raises(ConfigError, match="--protocol rt_grid: .*did you mean 'rt60_grid'"):
        find_protocols(["rt_grid"], mini)
    with pytest.raises(ConfigError, match="mini_test.yaml stands there twice"):
        find_protocols(["mini_test", "../../../conf/distortion/mini_test.yaml"], mini)
