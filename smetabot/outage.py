"""What a page answers while there is no database."""

import sys

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.log import log_response
from django.views.defaults import bad_request, server_error

from smetabot.postgres.outage import is_away

# Seconds. A server that restarts is back by then, and so is one that another takes the place of.
RETRY_AFTER = 30


def without_session(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler for a bad request: it takes a session that the database did not keep for one that somebody has
    ended."""
    cause: BaseException | None = exception
    while cause := cause and cause.__context__:
        if is_away(cause):
            return no_database(request, cause)
    return bad_request(request, exception)


def refuse(request: HttpRequest) -> HttpResponse:
    """Django's handler for what nobody caught, wherever it came from: a session is read before any page. Nothing is
    half done: what a page writes is one transaction, and Django keeps no session of such an answer."""
    error = sys.exc_info()[1]
    if not is_away(error):
        return server_error(request)
    return no_database(request, error)


def no_database(request: HttpRequest, error: BaseException | None) -> HttpResponse:
    # Without the request: what the pages of staff are given asks the database who they are.
    page = render_to_string("503.html")
    response = HttpResponse(page, status=503, headers={"Retry-After": str(RETRY_AFTER)})
    # In one line; else Django logs a traceback for each.
    log_response("No database: %s", " ".join(str(error).split()), response=response, request=request)
    return response
