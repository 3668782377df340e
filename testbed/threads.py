import threading
from collections.abc import Callable
from typing import Any


class Errand(threading.Thread):
    """What it dies of is raised where it is waited for."""

    def __init__(self, work: Callable[..., None], *args: Any) -> None:
        super().__init__(daemon=True)
        self.work, self.args = work, args
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.work(*self.args)
        except BaseException as error:
            self.error = error

    def finish(self) -> None:
        # A join without end would not hear of a Ctrl-C.
        while self.is_alive():
            self.join(0.5)
        if self.error:
            raise self.error
