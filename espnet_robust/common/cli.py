"""What all commands share: how options are spelt, and how a user's mistake is reported.

A command's module imports at the top only what its parser needs; ``main`` imports the rest after
parsing, so that ``--help`` and a mistyped option answer at once.
"""

import argparse
import ast
import errno
import os
import re
import select
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from espnet_robust.common.ending import end_with_recipe
from espnet_robust.common.errors import UserError

# System errors that are not our bugs: a full or failing disk, missing permissions.
_SYSTEM = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO,
}  # fmt: skip


# A word with a blank before its = is a value, such as a string of ESPnet's options.
_OPTION = re.compile(r"--([\w-]+)(=.*)?", re.DOTALL)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose options are spelt like ESPnet's, in ``--snake_case``.

    ``--kebab-case`` works too. The description keeps its line breaks.
    """

    def __init__(self, *args: Any, **options: Any):
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **options)

    def parse_known_args(  # type: ignore[override]  # three overloads in argparse
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        args = sys.argv[1:] if args is None else args
        return super().parse_known_args(snake_case(args), namespace)


def snake_case(args: Sequence[str]) -> list[str]:
    """Arguments with the dashes in option names replaced by underscores.

    >>> snake_case(["--decode-dir=my-dir", "my-set", "--max-epoch 5 --seed 1", "--", "--a-file"])
    ['--decode_dir=my-dir', 'my-set', '--max-epoch 5 --seed 1', '--', '--a-file']
    """
    end = args.index("--") if "--" in args else len(args)
    spelt = []
    for arg in args[:end]:
        if option := _OPTION.fullmatch(arg):
            arg = f"--{option[1].replace('-', '_')}{option[2] or ''}"
        spelt.append(arg)
    return [*spelt, *args[end:]]


def summary(module: str) -> str:
    """The first line of a module's docstring, without importing it."""
    spec = find_spec(module)
    assert spec and spec.origin, f"no module {module}"
    text = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8")))
    return (text or "").partition("\n")[0]


def run(main: Callable[[], None]) -> None:
    """Call ``main()``; turn a UserError into ``error: ...`` on stderr and exit status 1.

    System errors such as a full disk or a read-only directory are reported the same way. Ctrl-C
    ends the command without a traceback. So does a reader of its output that stops reading, as
    ``| head`` does; the status is 1 then, too.
    """
    end_with_recipe()
    try:
        _written_out(main)
    except UserError as e:
        print(f"error: {e}", file=sys.stderr)
        _fail()
    except OSError as e:
        if e.errno == errno.EPIPE and _reader_left():
            _fail()
        if e.errno not in _SYSTEM:
            raise
        print(f"error: {e.filename or 'output'}: {e.strerror}", file=sys.stderr)
        _fail()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)  # so that the shell sees why it ended


def _written_out(main: Callable[[], None]) -> None:
    """Call ``main()`` and write out what it printed, while an error can still be reported."""
    try:
        main()
    except SystemExit:  # as --help ends
        _flush()
        raise
    _flush()


def _flush() -> None:
    # None if the shell closed it; what `run` starts may close it, as json.tool does.
    if sys.stdout and not sys.stdout.closed:
        sys.stdout.flush()


def _fail() -> NoReturn:
    """Exit with 1; what cannot be written is dropped, or the interpreter would complain, too."""
    try:
        _flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(1)


def _reader_left() -> bool:
    """Whether nobody reads our standard output any more.

    Tells ``| head`` from the broken pipe of a worker or a socket, which is an error to be seen.
    """
    poll = select.poll()
    poll.register(1, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
