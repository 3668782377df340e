"""Work on many contractors, one set at a time.

What commands and staff contend for is the contractor: each set is one transaction that holds its contractors, locked in
id order.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from django.core.management.base import CommandParser
from django.db import DatabaseError, connection, transaction
from django.db.models import QuerySet

from adminlog.jobs import JobCommand, positive
from core.models import Contractor
from smetabot.postgres.locks import set_patience
from smetabot.postgres.outage import is_away
from smetabot.postgres.retry import retry_transient


@dataclass
class Batches:
    """`work` gets the ids of a set and returns its counts; it runs again when the set is tried again.

    `among` is asked under the lock, because who was due may have been blocked meanwhile. `refused` says of each
    contractor whom the database refused why: nothing of theirs was written, and they held nobody up.
    """

    work: Callable[[list[int]], Mapping[str, int]]
    among: QuerySet[Contractor] = field(default_factory=lambda: Contractor.objects.all())
    counts: Counter[str] = field(default_factory=Counter)
    refused: dict[int, str] = field(default_factory=dict)

    def run(self, due: list[int], *, size: int) -> None:
        """Runs share the work: one passes over what another holds, then, at its end, waits for it, so that whichever
        run ends has left nothing that was due."""
        held: list[int] = []
        for batch in _in_sets(due, size):
            held += self._handle(batch, wait=False)
        for batch in _in_sets(held, size):
            self._handle(batch, wait=True)

    def _handle(self, contractors: list[int], *, wait: bool) -> list[int]:
        """As one set; when the database refuses it, one by one, setting apart who is at fault. Returns who is held."""
        try:
            return self._handle_set(contractors, wait=wait)
        except DatabaseError as error:
            if is_away(error) or not connection.is_usable():
                raise
        held = []
        for contractor in contractors:
            try:
                # One transaction that hangs may hold all of them: nobody alone is waited for any longer.
                held += self._handle_set([contractor], wait=wait, patience="100ms")
            except DatabaseError as error:
                if is_away(error) or not connection.is_usable():
                    raise
                self.refused[contractor] = str(error).partition("\n")[0]
        return held

    @retry_transient
    def _handle_set(self, contractors: list[int], *, wait: bool, patience: str = "2s") -> list[int]:
        with transaction.atomic():
            set_patience(patience)
            wanted = self.among.filter(pk__any=contractors).order_by("pk")
            locked = list(wanted.select_for_update(no_key=True, skip_locked=not wait).values_list("pk", flat=True))
            # Statements of its own: their snapshots are younger than the locks.
            counts = self.work(locked)
            # A deferred constraint speaks here, where it can still be pinned on a contractor, and not at the commit.
            connection.check_constraints()
            held = wanted.exclude(pk__any=locked) if len(locked) < len(contractors) else wanted.none()
            passed_over = list(held.values_list("pk", flat=True))
        self.counts.update(counts)
        return passed_over


def _in_sets(contractors: list[int], size: int) -> Iterable[list[int]]:
    return (contractors[start : start + size] for start in range(0, len(contractors), size))


def as_problems(refused: Mapping[int, str]) -> list[str]:
    """A line for each contractor whom the database refused, by id."""
    return [f"contractor {contractor}: {reason}" for contractor, reason in sorted(refused.items())]


class BatchCommand(JobCommand):
    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--batch-size", type=positive, default=1000, help="contractors a transaction (default 1000)"
        )
