"""Set-up and the package's definition, as far as files tell; .ci/run does the rest."""

import importlib
import re
import subprocess
import tomllib

import pytest
import yaml


def pins(path):
    """Package -> version of a requirements file; every line must pin."""
    lines = (line.split("#")[0].strip() for line in path.read_text().splitlines())
    return dict(line.split("==") for line in lines if line)


@pytest.fixture(scope="module")
def package(root):
    return tomllib.loads((root / "pyproject.toml").read_text())


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def tools(root):
    return root / "tools"


def test_every_package_is_pinned_once(tools):
    names = [
        normal(name)
        for file in ("requirements.txt", "requirements-nodeps.txt", "constraints.txt")
        for name in pins(tools / file)
    ]
    assert len(names) == len(set(names))


def test_package_requires_only_what_set_up_pins_and_no_torch(tools, package):
    names = {normal(name) for name in package["project"]["dependencies"]}
    assert names <= {normal(name) for name in pins(tools / "requirements.txt")}
    assert not {"torch", "torchaudio", "espnet"} & names


def test_the_list_of_packages_is_complete(root, package):
    folders = [path.parent for path in (root / "espnet_robust").rglob("__init__.py")]
    names = {".".join(folder.relative_to(root).parts) for folder in folders}
    assert set(package["tool"]["setuptools"]["packages"]) == {*names, "espnet_robust.conf"}


def test_hooks_are_the_linters_of_make_lint(root):
    hooks = yaml.safe_load((root / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    linters = {tuple(hook["name"].split()) for hook in hooks}
    recipe = re.search(
        r"^lint: setup\n((?:\t.*\n)+)", (root / "Makefile").read_text(), re.MULTILINE
    )
    called = re.findall(r"\.venv/bin/([\w -]+)", recipe.group(1))
    assert linters == {tuple(words.split()) for words in called}
    assert all(hook["language"] == "system" for hook in hooks)  # nothing is downloaded


TASKS = (
    "asr", "asr_transducer", "slu", "cls", "spk", "lid", "st", "s2t", "s2t_ctc", "diar", "hubert",
    "ssl", "asvspoof", "enh_s2t",
)  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_espnet_task_imports(task):
    pytest.importorskip("espnet2")
    importlib.import_module(f"espnet2.tasks.{task}")


@pytest.mark.parametrize(
    "script", ["tools/setup.sh", ".ci/run", "utils/parse_options.sh", "utils/log.sh"]
)
def test_scripts_parse(root, script):
    subprocess.run(["bash", "-n", root / script], check=True)


def test_set_up_refuses_an_unknown_device(root, tmp_path):
    (tmp_path / "tools").mkdir()
    for file in (root / "tools").iterdir():
        if file.is_file():
            (tmp_path / "tools" / file.name).write_bytes(file.read_bytes())
    done = subprocess.run(
        ["bash", tmp_path / "tools/setup.sh"],
        env={"PATH": "/usr/bin:/bin", "DEVICE": "tpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr == "error: setup: DEVICE must be cpu or cuda, not 'tpu'\n"


SCRIPT = """#!/usr/bin/env bash
# Say what the options are.
set -euo pipefail

stage=1      # first stage
systems="a b"
verbose=false
extra=()

. {utils}/parse_options.sh
echo "${{stage}}|${{systems}}|${{verbose}}|$*${{extra[*]}}"
"""


@pytest.fixture
def options(root, tmp_path):
    """Run a script with options -> (exit status, stdout, stderr)."""
    script = tmp_path / "run.sh"
    script.write_text(SCRIPT.format(utils=root / "utils"))

    def run(*args):
        done = subprocess.run(["bash", script, *args], capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr.replace(str(script), "run.sh")

    return run


@pytest.mark.parametrize(
    ("args", "out"),
    [
        ([], "1|a b|false|"),
        (["--stage", "3", "--systems", "c d"], "3|c d|false|"),
        (["--systems=", "--verbose", "true"], "1||true|"),
        (["--systems=--x", "rest", "--stage"], "1|--x|false|rest --stage"),
        (["--stage", "2", "--", "--systems"], "2|a b|false|--systems"),
        (["--extra", "x y"], "1|a b|false|x y"),
        (["--systems", "$(touch x); a"], "1|$(touch x); a|false|"),
    ],
)
def test_options(options, args, out):
    assert options(*args) == (0, out + "\n", "")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--stag", "3"], "unknown option --stag; run.sh --help lists them"),
        (["--a-b=3"], "unknown option --a-b; run.sh --help lists them"),
        (["--stage"], "--stage needs a value"),
        (["--stage", "--systems", "a"], "--stage needs a value"),
        (["--verbose", "yes"], "--verbose is true or false, not 'yes'"),
        (["--st/age", "3"], "unknown option --st/age; run.sh --help lists them"),
    ],
)
def test_wrong_options_are_one_line(options, args, message):
    assert options(*args) == (1, "", f"error: run.sh: {message}\n")


def test_help_shows_the_defaults(options):
    status, out, _ = options("--help")
    assert status == 0
    assert out.startswith("# Say what the options are.")
    assert "stage=1      # first stage" in out
    assert "parse_options" not in out and "echo" not in out
