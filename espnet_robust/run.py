"""Run any ESPnet command with our frontends registered.

    espnet-robust run espnet2.bin.asr_train --config conf/asr.yaml ...

ESPnet's own recipes can use it in place of Python; it runs any module or file they ask for:

    ./run.sh --python "python3 -m espnet_robust.run"

ESPnet's run-time type checks are switched off, so that it starts quickly.
"""

import runpy
import sys
from importlib import import_module
from pathlib import Path

from espnet_robust.common.cli import run
from espnet_robust.common.errors import ConfigError

USAGE = "usage: espnet-robust run espnet2.bin.COMMAND [options]"


def main() -> None:
    args = sys.argv[1:]
    if args[:1] in (["-h"], ["--help"]):
        print(__doc__)
        return
    if args[:1] == ["-m"] and len(args) > 1:
        _run_module(args[1], args[2:])
    elif args[:1] == ["-c"] and len(args) > 1:
        sys.argv = ["-c", *args[2:]]
        exec(args[1], {"__name__": "__main__"})  # what the caller of Python asked it to run
    elif args and args[0].endswith(".py"):
        _run_file(args[0], args[1:])
    elif args and args[0].startswith("espnet"):
        _run_espnet(args[0], args[1:])
    else:
        raise ConfigError(USAGE)


def _run_espnet(name: str, args: list[str]) -> None:
    _register()
    try:
        command = import_module(name)
    except ModuleNotFoundError as e:
        raise ConfigError(f"{name}: {e}") from e
    sys.argv[1:] = args
    command.main()


def _run_module(name: str, args: list[str]) -> None:
    """Run a module as ``python -m`` does; only ESPnet's own commands need our frontend."""
    if name.startswith("espnet2.bin."):
        _run_espnet(name, args)
        return
    sys.argv = [name, *args]
    try:
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    except ImportError as e:
        if e.name and not name.startswith(e.name):
            raise
        raise ConfigError(f"{name}: {e}") from e


def _run_file(path: str, args: list[str]) -> None:
    """Run a file as ``python FILE`` does."""
    if not Path(path).is_file():
        raise ConfigError(f"{path}: no such file")
    sys.argv = [path, *args]
    sys.path[0] = str(Path(path).parent)
    runpy.run_path(path, run_name="__main__")


def _register() -> None:
    import espnet_robust.plugin.quick_start  # noqa: F401  before ESPnet
    from espnet_robust.plugin.registration import register

    register()


if __name__ == "__main__":
    run(main)
else:
    # The processes that multi-GPU training spawns import this module again, under another name.
    _register()
