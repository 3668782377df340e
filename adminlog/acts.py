"""What staff do to rows, from a row's page or from a list: a page tells what will come of it and asks why; then it is
done exactly so, and once.

What the page foretells is the operation itself, taken back.
"""

import hashlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core import signing
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import F, Max, Model, Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from unfold.admin import ModelAdmin

from adminlog import journal
from adminlog.columns import linked, list_of, page_of
from adminlog.formats import time
from adminlog.forms import ReasonField
from adminlog.models import AdminAction, AdminUser
from smetabot.postgres.locks import BUSY, is_busy, set_patience
from smetabot.postgres.outage import is_away

# So many rows at once: all of them are shown, and held, before anything is done.
MOST_ROWS = 500
# Acts after which all is as it was shown.
CHANGES_NOTHING = ["note.added", "contractor.exported", "list.exported"]
# Where the page leads back to.
NEXT = "next"


@dataclass(frozen=True)
class File:
    """A download. Its pieces are made while they are sent, so that to foretell it costs nothing."""

    name: str
    content_type: str
    pieces: Iterable[str]

    def answer(self) -> HttpResponseBase:
        headers = {"Content-Disposition": f'attachment; filename="{self.name}"', "Cache-Control": "no-store"}
        return StreamingHttpResponse(self.pieces, content_type=self.content_type, headers=headers)


@dataclass(frozen=True)
class Done:
    """What was done to a row: for the journal, and in words for whoever did it."""

    act: journal.Act
    told: str
    # Shown in the answer itself, and neither foretold nor kept anywhere.
    secret: str = ""
    # What the confirmation is answered with.
    file: File | None = None


@dataclass(frozen=True)
class Outcome:
    """Of one row: what was done, or why nothing was."""

    row: Model
    done: Done | None = None
    refusal: str = ""

    def __str__(self) -> str:
        return self.done.told if self.done else self.refusal


class Operation:
    """One thing that staff do. A page of a table names those that it offers in `operations`."""

    # In addresses: extend.
    name: ClassVar[str]
    title: Any
    icon: ClassVar[str] = "bolt"
    # What the role must be allowed, as adminlog.roles names it.
    permission: ClassVar[str]
    # What is to be known before anybody does it.
    warning: Any = ""
    # What it asks for besides the reason; its cleaned data are the arguments of `do`.
    form_class: type[forms.Form] = forms.Form
    in_bulk: ClassVar[bool] = True
    # The journal's word for what is done to many, where it is not the same to each.
    head_action: ClassVar[str] = ""
    # What cannot be undone, or hurts, is red.
    is_grave: ClassVar[bool] = False
    # Whether the row is gone when it is done, and its page with it.
    removes: ClassVar[bool] = False
    # Under which heading the page of a row offers it.
    group: Any = ""

    def is_offered(self, row: Any, *, by: AdminUser) -> bool:
        """Whether it makes sense for a row as it was read, without a query. To refuse is up to `do`."""
        return True

    def initial(self, rows: Sequence[Any]) -> dict[str, Any]:
        return {}

    def subject(self, row: Any) -> Model:
        """By what staff know the row, where its own name says little."""
        return row

    def others(self, data: Mapping[str, Any]) -> Iterable[int]:
        """The contractors that the form names: held and watched as those whose row it is."""
        return ()

    def hold(self, contractors: Sequence[int]) -> None:
        """Lock first what the operation is about, so that what was seen stays so while it is done."""

    def seen(self, rows: Sequence[Any], contractors: Sequence[int]) -> str:
        """What the page was shown on: if it is another by the time of the confirmation, somebody was faster."""
        about = Q(target_type=rows[0]._meta.label_lower, target_id__in=[row.pk for row in rows])
        if contractors:
            about |= Q(contractors__overlap=list(contractors))
        acts = AdminAction.objects.filter(about).exclude(action__in=CHANGES_NOTHING)
        # Not by the index on seq, backwards through the whole journal.
        return str(acts.aggregate(last=Max(F("seq") + 0))["last"])

    def do(self, row: Any, *args: Any, **data: Any) -> Done:
        """Given `by`, `now` and what the form asked for. ValidationError when it cannot be done, in words for staff."""
        raise NotImplementedError


class ReasonForm(forms.Form):
    reason = ReasonField()


class Overtaken(Exception):
    """It was done already, or is no longer what was shown."""


class OperationPage:
    """One request of an operation's page, on one row or on those that were chosen in a list."""

    def __init__(
        self, operation: Operation, model_admin: Any, request: HttpRequest, rows: Sequence[Model], *, in_bulk: bool
    ) -> None:
        self.operation, self.model_admin, self.request = operation, model_admin, request
        self.rows, self.in_bulk = sorted(rows, key=lambda row: row.pk), in_bulk
        self.contractors = sorted({key for row in rows for key in model_admin.contractors_of(row) if key})
        # A list opens the page by a POST, too.
        self.step = request.POST.get("step", "")
        self.form = operation.form_class(request.POST if self.step else None, initial=operation.initial(self.rows))
        self.reason = ReasonForm(request.POST if self.step == "confirm" else None)
        if in_bulk:
            # An erasure of one of them empties it for that one alone.
            self.reason.fields["reason"].help_text = _("It stands in the timelines of all of them: name nobody.")

    def answer(self) -> HttpResponseBase:
        problem = ""
        if self.step == "confirm" and self.form.is_valid() and self.reason.is_valid():
            try:
                outcomes = self.confirm(self.request.POST.get("confirmation", ""))
                if any(outcome.done for outcome in outcomes):
                    return self.tell(outcomes)
            except (Overtaken, ValidationError, DatabaseError) as error:
                if is_away(error):
                    raise
                problem = in_words(error)
        return self.show(problem)

    def show(self, problem: str) -> HttpResponse:
        confirmation = ""
        outcomes: list[Outcome] = []
        if (data := self.data()) is not None:
            try:
                confirmation, outcomes = self.foretell(data)
            except (ValidationError, DatabaseError) as error:
                if is_away(error):
                    raise
                problem = problem or in_words(error)
        context = {
            "problem": problem,
            "warning": self.operation.warning,
            "form": self.form,
            "reason": self.reason,
            "confirmation": confirmation if any(outcome.done for outcome in outcomes) else "",
            "is_grave": self.operation.is_grave,
            "hidden": self.hidden(),
        }
        return self.page(outcomes=outcomes, **context)

    def data(self) -> dict[str, Any] | None:
        """What the form says, or would say if it were sent as it is first shown; None while it says nothing valid."""
        form = self.form
        if not form.is_bound:
            form = self.operation.form_class({name: form[name].value() for name in form.fields})
        return form.cleaned_data if form.is_valid() else None

    def foretell(self, data: dict[str, Any]) -> tuple[str, list[Outcome]]:
        # Holds nobody for longer than their own row takes. What changes meanwhile is noticed at the confirmation.
        with transaction.atomic():
            set_patience("5s")
            seen = self.seen(data)
            outcomes = [self.perform_on(row, data, take_back=True) for row in self.rows]
        return signing.dumps([str(uuid.uuid4()), seen, self.digest(data)], salt=self.operation.name), outcomes

    def confirm(self, confirmation: str) -> list[Outcome]:
        try:
            token, seen, digest = signing.loads(confirmation, salt=self.operation.name)
        except signing.BadSignature:
            raise Overtaken(_("Look at what will happen before you confirm it.")) from None
        try:
            with transaction.atomic():
                wait_for(token)
                refuse_used(token)
                now_seen = self.hold(self.form.cleaned_data)
                if self.digest(self.form.cleaned_data) != digest:
                    raise Overtaken(_("You have changed something. This is what will happen now."))
                if now_seen != seen:
                    raise Overtaken(_("Somebody was faster. Nothing was done; this is what will happen now."))
                outcomes = [self.perform_on(row, self.form.cleaned_data) for row in self.rows]
                self.journal(outcomes, token)
        except IntegrityError:
            refuse_used(token)
            raise
        return outcomes

    def hold(self, data: Mapping[str, Any]) -> str:
        set_patience("5s")
        self.operation.hold(self.concerned(data))
        return self.seen(data)

    def seen(self, data: Mapping[str, Any]) -> str:
        return self.operation.seen(self.rows, self.concerned(data))

    def concerned(self, data: Mapping[str, Any]) -> list[int]:
        return sorted({*self.contractors, *self.operation.others(data)})

    def perform_on(self, row: Model, data: dict[str, Any], *, take_back: bool = False) -> Outcome:
        try:
            with transaction.atomic():
                done = self.operation.do(row, by=self.model_admin.actor(self.request), now=self.now, **data)
                if take_back:
                    connection.check_constraints()
                    transaction.set_rollback(True)
            return Outcome(row, done)
        except (ValidationError, DatabaseError) as error:
            if is_away(error):
                raise
            return Outcome(row, refusal=with_links(error))

    @cached_property
    def now(self) -> Any:
        return timezone.now()

    def journal(self, outcomes: list[Outcome], token: str) -> None:
        acts = [outcome.done.act for outcome in outcomes if outcome.done]
        if not acts:
            return
        told: dict[str, Any] = {
            "by": self.model_admin.actor(self.request),
            "reason": self.reason.cleaned_data["reason"],
            "token": token,
        }
        if self.in_bulk:
            facts = {"rows": len(acts), "skipped": len(outcomes) - len(acts)}
            journal.record_bulk(journal.Act(self.operation.head_action or acts[0].action, facts=facts), acts, **told)
        else:
            journal.record(acts[0], **told)

    def digest(self, data: dict[str, Any]) -> str:
        said = {name: getattr(value, "pk", value) for name, value in data.items()}
        about = [self.model_admin.opts.label, self.operation.name, [row.pk for row in self.rows]]
        text = DjangoJSONEncoder(sort_keys=True).encode([about, said])
        return hashlib.sha256(text.encode()).hexdigest()

    def tell(self, outcomes: list[Outcome]) -> HttpResponseBase:
        [first, *others] = outcomes
        if first.done and first.done.file:
            return first.done.file.answer()
        if others or self.in_bulk or (first.done and first.done.secret):
            # Answers the POST itself: a message for after a redirect would lie in the session, in the database,
            # which a password must not.
            return self.page(outcomes=outcomes, is_done=True)
        messages.success(self.request, str(first))
        is_gone = self.operation.removes and self.back_url.startswith(page_of(first.row))
        return HttpResponseRedirect(list_of(self.model_admin.model) if is_gone else self.back_url)

    @property
    def back_url(self) -> str:
        wanted = self.request.POST.get(NEXT) or self.request.GET.get(NEXT) or ""
        if wanted.startswith("/") and url_has_allowed_host_and_scheme(wanted, None):
            return wanted
        return list_of(self.model_admin.model) if self.in_bulk else page_of(self.rows[0])

    def hidden(self) -> list[tuple[str, Any]]:
        """What makes the next POST one of this page, too."""
        fields: list[tuple[str, Any]] = [(NEXT, self.back_url)]
        if self.in_bulk:
            fields += [("action", self.operation.name), ("select_across", "0")]
            fields += [(ACTION_CHECKBOX_NAME, row.pk) for row in self.rows]
        return fields

    def page(self, *, outcomes: list[Outcome], is_done: bool = False, **context: Any) -> HttpResponse:
        skipped = _("Skipped, and why") if is_done else _("This cannot be done, and why")
        done = _("Done") if is_done else _("This will happen")
        tables = [
            # The few are above the many.
            (skipped, [self.cells(each, is_done=is_done) for each in outcomes if not each.done]),
            (done, [self.cells(each, is_done=is_done) for each in outcomes if each.done]),
        ]
        return render(
            self.model_admin,
            self.request,
            title=self.operation.title,
            subtitle="" if self.in_bulk else str(self.operation.subject(self.rows[0])),
            subject="" if self.in_bulk else linked(self.operation.subject(self.rows[0])),
            original=None if self.in_bulk else self.rows[0],
            number=len(self.rows) if self.in_bulk else None,
            tables=[(heading, {"rows": rows}) for heading, rows in tables if rows],
            back_url=self.back_url,
            is_done=is_done,
            **context,
        )

    def cells(self, outcome: Outcome, *, is_done: bool) -> list[str]:
        cells = [linked(self.operation.subject(outcome.row))] if self.in_bulk else []
        if is_done and outcome.done and outcome.done.secret:
            return [*cells, outcome.done.told, outcome.done.secret]
        # In one piece, where the table lays the parts of a cell out beside each other.
        return [*cells, format_html("<div>{}</div>", str(outcome))]


def wait_for(token: str) -> None:
    """For whoever is doing it at this moment: a second click is not to be told that nothing was done."""
    set_patience("30s")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [token])


def refuse_used(token: str) -> None:
    if used := AdminAction.objects.filter(token=token).first():
        raise Overtaken(
            _("This was done already, by %(person)s on %(time)s. Nothing was done a second time.")
            % {"person": used.admin_name, "time": time(used.created_at)}
        )


def in_words(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return " ".join(error.messages)
    if isinstance(error, DatabaseError):
        return str(BUSY) if is_busy(error) else _("The database says: %(what)s") % {"what": told_by(error)}
    return str(error)


def with_links(error: Exception) -> str:
    """The same, with a link to the page of each row that a refusal names."""
    if not isinstance(error, ValidationError) or hasattr(error, "error_dict"):
        return in_words(error)
    return format_html_join(" ", "{}", ([linked_in(refusal)] for refusal in error.error_list))


def linked_in(refusal: ValidationError) -> str:
    names = {
        name: linked(value) if isinstance(value, Model) else conditional_escape(value)
        for name, value in (refusal.params or {}).items()
    }
    message = conditional_escape(refusal.message)
    return SafeString(message % names if names else message)


def told_by(error: DatabaseError) -> str:
    """What PostgreSQL said, with what it says to do about it."""
    said = getattr(error.__cause__, "diag", None)
    lines = [said.message_primary, said.message_hint] if said else []
    return ". ".join(filter(None, lines)) or str(error)


def tell(model_admin: ModelAdmin, request: HttpRequest, row: Model, *, title: Any, told: str) -> HttpResponse:
    """Answers a POST itself with what came of it."""
    context = {"title": title, "subtitle": str(row), "original": row, "back_url": page_of(row)}
    return render(model_admin, request, tables=[(_("Done"), {"rows": [[told]]})], is_done=True, **context)


def render(model_admin: ModelAdmin, request: HttpRequest, **context: Any) -> HttpResponse:
    context = {**model_admin.admin_site.each_context(request), "opts": model_admin.opts, **context}
    return TemplateResponse(request, "adminlog/act.html", context)
