from django.db import InterfaceError, InternalError, OperationalError, connection

# By SQLSTATE: the connection is lost, the server has no room for one, it stops or starts, it is only a copy now, it
# ended a transaction that idled or took too long, and the connection with it.
AWAY = ("08", "53", "57P", "25006", "25P03", "25P04")


def is_away(error: BaseException | None) -> bool:
    """There is no database at the moment, or no more: to try again later makes sense."""
    if isinstance(error, InterfaceError):
        # With a connection that is open it is the program that asked what makes no sense.
        return connection.connection is None or connection.connection.closed
    state = getattr(error.__cause__, "sqlstate", None) if error else None
    return isinstance(error, OperationalError | InternalError) and (state is None or state.startswith(AWAY))
