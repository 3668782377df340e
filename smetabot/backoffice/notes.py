"""What staff remember of a contractor. A note knows the contractor only by id, so its pages stand above both."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import JSONObject
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.text import Truncator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextareaWidget

from adminlog.columns import column, linked, page_of, preformatted
from adminlog.forms import ParentSelect, RowForm
from adminlog.lists import Section
from adminlog.models import Note
from adminlog.pages import BaseAdmin
from adminlog.search import among, matching
from billing.models import Gift
from core.models import Contractor
from core.names import NAMES

ERASED = _("erased")


class NoteForm(RowForm):
    contractor = forms.ModelChoiceField(
        Contractor.objects.all(),
        label=_("Contractor"),
        # It is chosen as a gift's contractor is: the search asks a foreign key whose rows it is to look among.
        widget=ParentSelect(Gift._meta.get_field("contractor"), admin.site),
    )
    text = forms.CharField(label=_("Text"), max_length=10_000, widget=UnfoldAdminTextareaWidget)


@admin.register(Note)
class NoteAdmin(BaseAdmin):
    icon = "sticky_note_2"
    allows = ["add"]
    contractors = ["contractor_id"]
    form = NoteForm
    list_display = [
        "created_at",
        "contractor",
        "author",
        column("text", show=lambda text: Truncator(text).chars(200), empty=ERASED),
    ]
    list_filter = ["author"]
    list_select_related = ["author"]
    search_fields = ["text", "author__username"]
    search_help_text = _("Text, contractor, author")
    fields = ["created_at", "contractor", "author", column("text", show=preformatted, empty=ERASED)]
    add_fieldsets = [(None, {"fields": ["contractor", "text"]})]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Note]:
        named = Contractor.objects.filter(pk=OuterRef("contractor_id"))
        names = named.values(names=JSONObject(pk="pk", username="username", full_name="full_name"))
        return super().get_queryset(request).annotate(contractor_names=Subquery(names))

    def found_by(self, word: str) -> Q:
        contractors = matching(Contractor, NAMES, word)
        return super().found_by(word) | among("contractor_id", Contractor.objects.filter(contractors))

    @admin.display(description=_("contractor"))
    def contractor(self, note: Any) -> str:
        """A link while there is such a contractor."""
        return linked(Contractor(**note.contractor_names)) if note.contractor_names else str(note.contractor_id)

    def save_model(self, request: HttpRequest, obj: Any, form: forms.ModelForm, change: bool) -> None:
        obj.author = self.actor(request)
        obj.contractor_id = form.cleaned_data["contractor"].pk
        obj.save()

    def response_post_save_add(self, request: HttpRequest, obj: Any) -> HttpResponse:
        return HttpResponseRedirect(page_of(Contractor(pk=obj.contractor_id)))


def notes_on(request: HttpRequest, contractor: int) -> list[Section]:
    """The section of a contractor's page."""
    notes: Any = admin.site.get_model_admin(Note)
    if not notes.has_view_permission(request):
        return []
    section = Section(
        request, name="notes", heading=gettext("notes"), model_admin=notes, by="contractor_id", key=contractor
    )
    if notes.has_add_permission(request):
        section.add_url = f"{reverse('admin:adminlog_note_add')}?contractor={contractor}"
    return [section]
