"""What each of those who use it sees: when something of theirs came to a good end, and what went wrong."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

from testbed.console import HinderedError


class Watched:
    """A thread that does something again and again, until told to stop."""

    # Seconds between two.
    PACE = 0.0

    def __init__(self, name: str) -> None:
        self.name = name
        self.good: list[float] = []
        self.bad: list[tuple[float, str]] = []
        self.broken: BaseException | None = None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.work, name=name, daemon=True)

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self.stopping.set()

    def join(self) -> None:
        self.thread.join(timeout=60)
        self.check()
        if self.thread.is_alive():
            raise HinderedError(f"{self.name} has not stopped after a minute.")

    def check(self) -> None:
        if self.broken:
            raise self.broken

    def turn(self) -> None:
        raise NotImplementedError

    def work(self) -> None:
        try:
            while not self.stopping.is_set():
                self.turn()
                self.stopping.wait(self.PACE)
        except BaseException as error:  # told by the main thread, which waits for what this one does
            self.broken = error

    def succeeded(self) -> None:
        self.good.append(time.monotonic())

    def failed(self, why: str) -> None:
        self.bad.append((time.monotonic(), why))

    def outage(self, begin: float, end: float) -> float:
        """The longest time within these without anything good, if anything went wrong at all."""
        if not any(begin <= moment <= end for moment, _ in self.bad):
            return 0.0
        moments = [moment for moment in self.good if begin <= moment <= end]
        return max((later - earlier for earlier, later in pairwise([begin, *moments])), default=end - begin)

    def complaints(self, begin: float, end: float) -> Counter[str]:
        return Counter(why for moment, why in self.bad if begin <= moment <= end)


def all_good_since(moment: float, watched: Sequence[Watched]) -> Callable[[], bool]:
    def is_so() -> bool:
        for one in watched:
            one.check()
        return all(one.good and one.good[-1] > moment for one in watched)

    return is_so
