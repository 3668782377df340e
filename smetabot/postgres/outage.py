from django.db import InterfaceError, InternalError, OperationalError

# By SQLSTATE: the connection is lost, the server has no room for one, it stops or starts, it is only a copy now.
AWAY = ("08", "53", "57P", "25006")


def is_away(error: BaseException | None) -> bool:
    """There is no database at the moment, or no more: to try again later makes sense."""
    if isinstance(error, InterfaceError):
        return True
    state = getattr(error.__cause__, "sqlstate", None) if error else None
    return isinstance(error, OperationalError | InternalError) and (state is None or state.startswith(AWAY))
