"""Set-up and the package's definition, as far as files tell; .ci/run does the rest."""

import importlib
import re
import shutil
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
    older = {normal(name) for name in pins(tools / "requirements-202511.txt")}
    assert {"espnet", "numpy"} <= older and "torch" not in older


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
    "script",
    [
        "tools/setup.sh",
        "tools/setup_202511.sh",
        "tools/setup_tests.sh",
        ".ci/run",
        "utils/parse_options.sh",
        "utils/log.sh",
    ],
)
def test_scripts_parse(root, script):
    subprocess.run(["bash", "-n", root / script], check=True)


NEEDED = ("bash", "cat", "cut", "dirname", "grep", "id", "mv", "rm", "sha256sum")


@pytest.fixture
def set_up(root, tmp_path):
    """Run tools/setup.sh where these are all interpreters there are -> (exit status, stderr).

    A value that begins with a digit is the version that the interpreter says it has; another is
    its script.
    """
    (tmp_path / "tools").mkdir()
    for file in (root / "tools").iterdir():
        if file.is_file():
            (tmp_path / "tools" / file.name).write_bytes(file.read_bytes())
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in NEEDED:
        (programs / name).symlink_to(shutil.which(name))

    def run(pythons=(), **env):
        scripts = dict.fromkeys(("sox", "espeak-ng"), "true") | dict(pythons)
        for name, script in scripts.items():
            text = f"echo {script}" if script[0].isdigit() else script
            (programs / name).write_text(f"#!{programs}/bash\n{text}\n")
            (programs / name).chmod(0o755)
        done = subprocess.run(
            ["bash", tmp_path / "tools/setup.sh"],
            env={"PATH": str(programs), **env},
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stderr

    return run


def test_set_up_refuses_an_unknown_device(set_up):
    message = "error: setup: DEVICE must be cpu or cuda, not 'tpu'\n"
    assert set_up(DEVICE="tpu") == (1, message)


def test_set_up_does_not_empty_the_environment_of_another_checkout(set_up, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "complete").write_text("elsewhere cpu\n")
    (tmp_path / ".venv").symlink_to(other)
    status, message = set_up()
    assert status == 1
    assert message.startswith("error: setup: .venv is a link to the environment of another")
    assert (other / "complete").is_file()


# A pyenv shim of a version that is not chosen.
BROKEN = "exit 127"


@pytest.mark.parametrize(
    ("pythons", "named", "message"),
    [
        ({}, None, "no Python 3.11, 3.12 or 3.13 found; install one, or name it: PYTHON=... "),
        ({"python3": "3.10"}, None, "no Python 3.11, 3.12 or 3.13 found (python3 is 3.10); "),
        ({"python3.11": BROKEN, "python3": "3.14"}, None,
         "no Python 3.11, 3.12 or 3.13 found (python3 is 3.14); "),
        ({"python3.10": "3.10"}, "python3.10", "'python3.10' is Python 3.10, the pins are for "),
        ({"python3.14": "3.14"}, "python3.14", "'python3.14' is Python 3.14, the pins are for "),
        ({"python3.12": BROKEN}, "python3.12", "'python3.12' does not run; name a Python 3.11 "),
    ],
)  # fmt: skip
def test_set_up_refuses_other_pythons(set_up, pythons, named, message):
    status, error = set_up(pythons, **({"PYTHON": named} if named else {}))
    assert status == 1
    assert error.startswith(f"error: setup: {message}") and error.count("\n") == 1


# Knows its version, and makes a .venv whose pip fails on requirements.txt, as a compiler would.
INTERPRETER = """\
case "$*" in
    *version_info*) echo {version} ;;
    *ensurepip*) true ;;
    *Python.h*) echo {headers}/Python.h ;;
    "-m venv"*) {mkdir} -p .venv/bin && {cp} "$0" .venv/bin/python ;;
    *requirements.txt*) exit 1 ;;
esac
"""


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_set_up_says_that_headers_are_missing(set_up, tmp_path, version):
    tools = {name: shutil.which(name) for name in ("mkdir", "cp")}
    script = INTERPRETER.format(version=version, headers=tmp_path / "nowhere", **tools)
    # Others are passed over, wherever they are in the order.
    pythons = {"python3.11": BROKEN, f"python{version}": script, "python3": "3.10"}
    message = "error: setup: a package has no wheel for this machine, and to compile it "
    assert set_up(pythons) == (
        1,
        f"{message}Python's headers are missing; "
        f"install with: sudo apt-get install python{version}-dev\n",
    )
    (tmp_path / "nowhere").mkdir()
    (tmp_path / "nowhere/Python.h").touch()
    assert set_up(pythons) == (1, "error: setup: pip failed, see above\n")


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
