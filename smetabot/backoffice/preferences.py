from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import PasswordContextMixin
from django.http import HttpResponse
from django.urls import reverse_lazy
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.generic import FormView
from unfold.widgets import UnfoldAdminSelect2Widget, UnfoldAdminSelectWidget

from adminlog import preferences


class OwnPreferencesForm(forms.Form):
    language = forms.ChoiceField(label=gettext_lazy("Language"), required=False, widget=UnfoldAdminSelectWidget)
    # Selected by search: there are some 450.
    time_zone = forms.ChoiceField(
        label=gettext_lazy("Time zone"),
        required=False,
        widget=UnfoldAdminSelect2Widget,
        help_text=gettext_lazy("Every date and time is shown, and read, by this clock."),
    )

    class Media:
        # What the selection says by itself. Its file has to find the library before jquery.init.js hides it.
        js = [
            "admin/js/vendor/select2/select2.full.js",
            "admin/js/vendor/select2/i18n/ru.js",
            "admin/js/jquery.init.js",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: Any = self.fields
        languages = dict(settings.LANGUAGES)
        by_default = _("As the office has it: %(value)s")
        fields["language"].choices = [
            ("", by_default % {"value": languages[settings.STAFF_LANGUAGE]}),
            *languages.items(),
        ]
        fields["time_zone"].widget.attrs["lang"] = translation.get_language()
        fields["time_zone"].choices = [
            ("", by_default % {"value": settings.STAFF_ZONE}),
            *((zone, zone.replace("_", " ")) for zone in preferences.zones()),
        ]


class OwnPreferences(PasswordContextMixin, FormView):
    template_name = "backoffice/preferences.html"
    form_class = OwnPreferencesForm
    title = gettext_lazy("My settings")
    success_url = reverse_lazy("admin:preferences")

    def get_initial(self) -> dict[str, Any]:
        admin_user: Any = self.request.user.admin_user  # type: ignore[union-attr]
        return {"language": admin_user.language, "time_zone": admin_user.time_zone}

    def form_valid(self, form: OwnPreferencesForm) -> HttpResponse:
        chosen = {name: value or None for name, value in form.cleaned_data.items()}
        preferences.prefer(self.request.user.admin_user, **chosen)  # type: ignore[union-attr]
        with translation.override(chosen["language"] or settings.STAFF_LANGUAGE):
            messages.success(self.request, _("Your settings are saved."))
        return super().form_valid(form)
