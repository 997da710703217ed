"""Run any ESPnet command with our frontends registered.

    espnet-robust run espnet2.bin.asr_train --config conf/asr.yaml ...

ESPnet's run-time checks of types are left out, for a quick start.
"""

import sys
from importlib import import_module

from espnet_robust.common.cli import run
from espnet_robust.common.errors import ConfigError


def main() -> None:
    if sys.argv[1:2] in (["-h"], ["--help"]):
        print(__doc__)
        return
    if len(sys.argv) < 2 or not sys.argv[1].startswith("espnet"):
        raise ConfigError("usage: espnet-robust run espnet2.bin.COMMAND [options]")
    _register()
    name = sys.argv.pop(1)
    try:
        command = import_module(name)
    except ModuleNotFoundError as e:
        raise ConfigError(f"{name}: {e}") from e
    command.main()


def _register() -> None:
    import espnet_robust.plugin.quick_start  # noqa: F401  before ESPnet
    from espnet_robust.plugin.registration import register

    register()


if __name__ == "__main__":
    run(main)
else:
    # The children that multi-GPU training spawns import this module anew, under another name.
    _register()
