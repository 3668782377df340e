"""Connections of the web, which are kept from request to request."""

from typing import Any

# Seconds. PostgreSQL keeps in each what it has learnt of every table and partition; that does not grow for ever.
KEPT_FOR = 600


def kept(database: dict[str, Any]) -> dict[str, Any]:
    """As `database`, for threads that serve many requests: to connect takes as long as all queries of many a page.

    Nothing is prepared on such a connection. After ten times PostgreSQL might keep one plan for all values, by which a
    list filtered by a rare one reads a table; to prepare and yet plan each time is no faster and takes more memory.
    """
    return database | {
        "CONN_MAX_AGE": KEPT_FOR,
        # Asked once a request: the server may have been restarted, or another may have taken its place.
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": database["OPTIONS"] | {"prepare_threshold": None},
    }
