"""What all commands share: a user's mistake is one line on stderr and exit status 1."""

import sys
from collections.abc import Callable

from espnet_robust.errors import UserError


def run(main: Callable[[], None]) -> None:
    """Call ``main()``; turn a UserError into ``error: ...`` on stderr and exit status 1."""
    try:
        main()
    except UserError as e:
        print(f"error: {e}", file=sys.stderr)
        sys.exit(1)
