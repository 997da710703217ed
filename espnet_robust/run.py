"""Run any ESPnet command with our frontends registered.

    python -m espnet_robust.run espnet2.bin.asr_train --config conf/asr.yaml ...

Registration happens at module level, so that the children which multi-GPU training spawns, and
which import this module anew, have it too. ESPnet's run-time checks of types are left out, for a
quick start.
"""

import sys
from importlib import import_module

import espnet_robust.plugin.quick_start  # noqa: F401  before ESPnet
from espnet_robust.cli import run
from espnet_robust.errors import ConfigError
from espnet_robust.plugin.registration import register

register()


def main() -> None:
    if len(sys.argv) < 2 or not sys.argv[1].startswith("espnet"):
        raise ConfigError("usage: python -m espnet_robust.run espnet2.bin.COMMAND [options]")
    name = sys.argv.pop(1)
    try:
        command = import_module(name)
    except ModuleNotFoundError as e:
        raise ConfigError(f"{name}: {e}") from e
    command.main()


if __name__ == "__main__":
    run(main)
