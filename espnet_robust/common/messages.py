"""Messages of a recipe's progress."""

import sys
import time


def say(message: str) -> None:
    """A line with the time on stderr, as utils/log.sh writes it."""
    print(time.strftime("%Y-%m-%d %H:%M:%S"), message, file=sys.stderr, flush=True)
