"""What whoever started it is told."""

import time


class HinderedError(Exception):
    """What keeps it from going on, in one line."""


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)
