"""espnet-robust: one name for all commands, and parsers that load nothing heavy."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from espnet_robust.bin.main import ALL, COMMANDS, help_text, main
from espnet_robust.common.cli import summary
from espnet_robust.corpora import CORPORA

HEAVY = {"espnet", "espnet2", "kaldiio", "librosa", "matplotlib", "numpy", "pandas", "scipy",
         "sklearn", "soundfile", "torch", "transformers"}  # fmt: skip


def espnet_robust(*args, stdout=subprocess.PIPE, **options):
    command = [sys.executable, "-W", "ignore", "-m", "espnet_robust", *args]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, **options)


def test_every_command_module_is_in_the_table_once(root):
    here = {f"espnet_robust.bin.{p.stem}" for p in (root / "espnet_robust/bin").glob("*.py")}
    here -= {"espnet_robust.bin.__init__", "espnet_robust.bin.main"}
    assert sorted(ALL.values()) == sorted({*here, "espnet_robust.run"})


@pytest.mark.parametrize("module", ALL.values())
def test_summaries_fit_a_line(module):
    assert find_spec(module)
    assert summary(module)[-1] in ".;:" and len(summary(module)) < 98


def test_help_lists_commands_in_the_order_of_the_data_flow(capsys):
    main(["--help"])
    shown = capsys.readouterr().out
    assert shown == help_text() + "\n"
    places = [shown.index(f"\n  {name} ") for name in ALL]
    assert places == sorted(places)
    assert all(f"\n{title}:\n" in shown for title in COMMANDS)
    assert summary(ALL["score"]) in shown


def test_help_of_a_group(capsys):
    for args in (["data"], ["data", "--help"]):
        main(args)
        shown = capsys.readouterr().out
        assert "data validate " in shown and "Check Kaldi-format" in shown and "score" not in shown


@pytest.mark.parametrize("args", [("--help",), ("data",), ("score", "--help")])
def test_help_that_nobody_reads_to_its_end(args):
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    reading, writing = os.pipe()
    os.close(reading)
    done = espnet_robust(*args, stdout=writing, env=env)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "name a subcommand; espnet-robust --help lists them"),
        (["scroe", "--out", "x"], "no subcommand 'scroe', did you mean 'score'?"),
        (["data", "validat", "x"], "no subcommand 'data validat', did you mean 'data validate'?"),
        (["validate_data_dir", "x"], "no subcommand 'validate_data_dir'; it is 'data validate'"),
        (["run"], "usage: espnet-robust run espnet2.bin.COMMAND [options]"),
    ],
)
def test_mistakes_are_one_line(args, message, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["espnet-robust"])  # commands change it
    with pytest.raises(SystemExit) as e:
        main(args)
    assert (e.value.code, capsys.readouterr().err) == (1, f"error: {message}\n")


def test_a_command_gets_its_options(tmp_path):
    done = espnet_robust("data", "validate", "--need", "wav.scp", "--", str(tmp_path / "no"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ") and "no: no such data dir" in done.stderr
    done = espnet_robust("score", "--help")
    assert done.returncode == 0 and done.stdout.startswith("usage: espnet-robust score ")
    done = espnet_robust("score", "--hlep")
    assert done.returncode == 2 and "espnet-robust score: error: " in done.stderr


LOADED = """
import json, sys
from importlib import import_module
from espnet_robust.bin import main
loaded = {"main": [main.help_text(), sorted(sys.modules)]}
for name, args in json.loads(sys.argv[1]):
    before = set(sys.modules)
    module = import_module(main.ALL[name])
    parser = module.get_parser(*args)
    loaded[" ".join([name, *args])] = [parser.prog, sorted({*sys.modules} - before)]
json.dump(loaded, sys.stdout)
"""


@pytest.fixture(scope="module")
def loaded():
    """{command: (its parser's prog, the modules that its import and its parser load)}"""
    # ESPnet's own parser takes what it takes; `run` has none.
    light = [(name, ()) for name in ALL if name not in ("distill_train", "run")]
    command = [sys.executable, "-c", LOADED, json.dumps(light)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_parsers_load_nothing_heavy(loaded):
    heavy = {
        name: HEAVY & {m.split(".")[0] for m in modules} for name, (_, modules) in loaded.items()
    }
    assert not {name: modules for name, modules in heavy.items() if modules}


def test_parsers_say_how_they_are_called(loaded):
    assert {name: prog for name, (prog, _) in loaded.items() if name != "main"} == {
        name: f"espnet-robust {name}" for name in loaded if name != "main"
    }


def test_a_corpus_needs_neither_scipy_nor_torch_to_show_its_options():
    corpora = [("prepare_corpus", (name,)) for name in CORPORA]
    command = [sys.executable, "-c", LOADED, json.dumps(corpora)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {module for _, modules in json.loads(done.stdout).values() for module in modules}
    assert not loaded & {"scipy.signal", "matplotlib", "librosa", "torch", "transformers"}


def test_formats_in_the_parser_are_those_of_the_module():
    from espnet_robust.bin import distort_data_dir
    from espnet_robust.distortion import copies

    assert tuple(copies.FORMATS) == distort_data_dir.FORMATS


SPAWN = """
import multiprocessing

def child(queue):
    from espnet2.tasks.asr import frontend_choices
    queue.put("robust_student" in frontend_choices.classes)

def main():
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    print("known:", queue.get(timeout=100))
    process.join()
"""


@pytest.mark.recipe
def test_what_a_training_spawns_knows_our_frontends(root, tmp_path):
    """As multi-GPU training does; through the console entry point, not ``python -m``."""
    pytest.importorskip("espnet2")
    (tmp_path / "espnet_spawn.py").write_text(SPAWN)
    entry = "import sys; from espnet_robust.bin.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", entry, "run", "espnet_spawn"],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{root}:{tmp_path}"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines()[-1:] == ["known: True"], done.stderr
