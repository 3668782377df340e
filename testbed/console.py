"""What whoever started it is told."""

import sys
import time


class HinderedError(Exception):
    """What keeps it from going on, in one line."""


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


def give_up(error: BaseException) -> int:
    """Says why in one line. Returns the exit code of what could not be tried."""
    print(" ".join(str(error).split()) or type(error).__name__, file=sys.stderr)
    return 2
