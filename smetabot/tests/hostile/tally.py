"""What was sent, and what came of it."""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import unquote

from django.contrib.messages import get_messages
from django.http import HttpResponse
from django.urls import reverse

from adminlog.models import AdminAction
from smetabot.tests.hostile.rubbish import MARK
from smetabot.tests.test_access import held, rolled_back

ANSWERS = {200, 302, 400, 403, 404, 405, 413, 414, 429}
# Of the login, whose steps are counted before anybody is known.
BESIDE_THE_JOURNAL = {"axes_accessattempt", "otp_totp_totpdevice", "otp_static_statictoken", "otp_static_staticdevice"}
JOURNAL = {"admin.admin_actions", "admin.action_details"}


@dataclass
class Kind:
    """Of input, as the report calls it."""

    name: str
    inputs: int = 0
    # Exceptions, which would have been answers 500.
    broken: int = 0
    half_written: int = 0
    # Refused, and nothing says so.
    unclear: int = 0
    done: int = 0
    answers: Counter[str] = field(default_factory=Counter)


KINDS: dict[str, Kind] = {}


def kind(name: str) -> Kind:
    return KINDS.setdefault(name, Kind(name))


def ask(counted: Kind, send: Callable[[], HttpResponse], *, lasting: bool = False) -> HttpResponse:
    """Sends one input; fails on whatever is not an answer, and on what is written without an act in the journal. What
    is done is taken back unless it is `lasting`, as what was only looked at is."""
    counted.inputs += 1
    before, heads = held(), heads_of_journal()
    with nullcontext() if lasting else rolled_back():
        response = answer(counted, send)
        after, heads_after = held(), heads_of_journal()
    changed = {table for table in after if after[table] != before[table]}
    acts = heads_after - heads
    counted.done += bool(changed)
    counted.answers[str(response.status_code)] += 1
    if (changed - BESIDE_THE_JOURNAL and acts != 1) or acts > 1:
        counted.half_written += 1
        raise AssertionError(f"{told(response)} changed {changed} with {acts} acts in the journal")
    try:
        assert_clear(response, is_done=bool(changed))
    except AssertionError:
        counted.unclear += 1
        raise
    return response


def answer(counted: Kind, send: Callable[[], HttpResponse]) -> HttpResponse:
    try:
        response = send()
        if response.streaming:
            response.whole = b"".join(response.streaming_content)
    except Exception:
        counted.broken += 1
        raise
    is_probe = response.wsgi_request.path == "/readyz"
    if response.status_code not in ANSWERS and not (is_probe and response.status_code == 503):
        counted.broken += 1
        raise AssertionError(told(response))
    return response


def told(response: HttpResponse) -> str:
    request = response.wsgi_request
    return f"{request.method} {request.get_full_path()[:300]!r}: {response.status_code}"


def heads_of_journal() -> int:
    """Acts, of which one on many rows has many entries."""
    return AdminAction.objects.filter(part_of=None).count()


def assert_clear(response: HttpResponse, *, is_done: bool) -> None:
    page = getattr(response, "whole", None) or response.content
    what = told(response)
    if response.headers.get("Content-Type", "").startswith("text/html"):
        assert b"Traceback (most recent call last)" not in page, what
        assert MARK.encode() not in page, f"{what} has a script"
    if response.status_code >= 400:
        is_said = page.strip() or response.status_code == 405 or response.wsgi_request.method == "HEAD"
        assert is_said, f"{what} says nothing"
        return
    if response.wsgi_request.method != "POST" or is_done:
        return
    if response.status_code == 302:
        said = list(get_messages(response.wsgi_request))
        assert said or leads_on(response), f"{what} leads away without a word"
    for form in forms_of(response):
        text = unescape(page.decode())
        for errors in form.errors.values():
            assert all(error in text for error in errors), f"{what}: {errors} is not said"
        for name in form.errors:
            if name in form.fields and is_repeated(form.fields[name], typed := form[name].value()):
                # As a browser reads it again.
                seen, sent = (" ".join(each.split()) for each in (text, typed))
                assert sent in seen, f"{what}: what was typed as {name} is gone"


def leads_on(response: HttpResponse) -> bool:
    """To the login, to a list that says what was wrong, or on from an address that only leads to another: a logout, a
    row's history, one without its last slash."""
    location, path = response.headers["Location"], response.wsgi_request.path
    leads = path == reverse("admin:logout") or path.endswith("/history/")
    place = unquote(location.partition("?")[0])
    moved = place.startswith(path) and place != path
    return leads or moved or location.startswith(reverse("admin:login")) or "e=1" in location


def forms_of(response: HttpResponse) -> list[Any]:
    context: Any = response.context or {}
    form = context.get("form") or getattr(context.get("adminform"), "form", None)
    return [form] if getattr(form, "errors", None) else []


def is_repeated(field: Any, typed: Any) -> bool:
    """Not a password, and not what there is no choice for."""
    shows = getattr(field.widget, "render_value", True) and not hasattr(field, "choices")
    return shows and isinstance(typed, str) and not field.widget.is_hidden and typed.isprintable()


def report(command: str, measured: Mapping[str, str]) -> str:
    rows = [
        "| what | inputs | acts done | 500 or traceback | half-written | refused without a word |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    total = Kind("**in all**")
    for each in [*KINDS.values(), total]:
        if each is not total:
            for name in ("inputs", "done", "broken", "half_written", "unclear"):
                setattr(total, name, getattr(total, name) + getattr(each, name))
        rows.append(
            f"| {each.name} | {each.inputs:,} | {each.done:,} | {each.broken} | {each.half_written} | {each.unclear} |"
        )
    lines = [f"- {what}: {found}" for what, found in measured.items()]
    return "\n".join([ABOUT.format(command=command), "", *rows, "", LIMITS, "", *lines])


ABOUT = """`{command}` throws rubbish at every address of the URL conf, every parameter, search box, form and act that
the pages themselves show, as each role and as a stranger, and into import files and the arguments of all commands: NUL,
text that is no UTF-8, invisible and right-to-left characters, numbers and dates beyond every type, broken and endless
JSON, foreign ids, other methods and kinds of content, multipart rubbish, forged and repeated tokens. After each input
all tables are compared: nothing has changed, or all that one act changes, with its entry in the journal. `make test`
throws a part of it, always the same."""
LIMITS = """The admin takes no files. A form longer than 1 MB and an address longer than 16,000 characters are refused
before they are read, a file in a form before any of it lies on the disk. `import_views` holds a chunk and what shows
that a line is too long."""
