import tenacity
from django.db import InterfaceError, OperationalError, connection

from smetabot.postgres.locks import is_busy
from smetabot.postgres.outage import is_away


def _drop_lost_connection(state: tenacity.RetryCallState) -> None:
    """Django keeps a dead connection until someone closes it, and then makes a new one by itself. One to a server that
    leads no more is alive, and of no use."""
    error = state.outcome.exception() if state.outcome else None
    if not connection.in_atomic_block and (is_away(error) or not connection.is_usable()):
        connection.close()


def _is_transient(error: BaseException) -> bool:
    """A deadlock, a lost connection, a server that is only a copy now: worth another try, unless a transaction around
    us went too. Who ran out of patience with a lock has waited long enough."""
    if is_busy(error):
        return False
    return (isinstance(error, OperationalError | InterfaceError) or is_away(error)) and not connection.needs_rollback


# For a function that is one whole transaction: it runs again from its start.
retry_transient = tenacity.retry(
    retry=tenacity.retry_if_exception(_is_transient),
    # Some seconds in all: a server that restarts is back by then.
    stop=tenacity.stop_after_attempt(5),
    wait=tenacity.wait_exponential_jitter(multiplier=0.2, max=2, jitter=0.2),
    before_sleep=_drop_lost_connection,
    reraise=True,
)


def _may_pass(error: BaseException) -> bool:
    return _is_transient(error) or is_busy(error) and not connection.needs_rollback


# For what nobody waits for, and what must not make others wait long: it asks for its locks again and again.
retry_busy = tenacity.retry(
    retry=tenacity.retry_if_exception(_may_pass),
    stop=tenacity.stop_after_attempt(8),
    wait=tenacity.wait_exponential_jitter(multiplier=0.2, max=5, jitter=0.5),
    before_sleep=_drop_lost_connection,
    reraise=True,
)
