"""Messages of a recipe's progress."""

import sys
import time


def say(message: str) -> None:
    """Print a line with the time on stderr, in the format of utils/log.sh."""
    print(time.strftime("%Y-%m-%d %H:%M:%S"), message, file=sys.stderr, flush=True)
