"""Commands as a recipe's shell hands them over: words that end with US, commands that end with RS.

The unit and the record separator of ASCII stand in no option, where quotes and line ends may.
"""

import sys
from collections.abc import Mapping, Sequence

WORD, COMMAND = "\x1f", "\x1e"


def read_commands(text: str) -> Mapping[str, Sequence[str]]:
    """{name of a job: its command}, from records NAME COMMAND ARGUMENTS."""
    commands = {}
    for record in text.split(COMMAND)[:-1]:
        name, command, *arguments = record.split(WORD)[:-1]
        assert name not in commands, f"two jobs called {name}"
        commands[name] = [sys.executable, "-m", f"espnet_robust.bin.{command}", *arguments]
    return commands
