"""Forms that know what the person before them saw, and fields that take what people type into them."""

import json
from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import ValidationError
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.utils import display_for_value
from unfold.widgets import INPUT_CLASSES, UnfoldAdminTextareaWidget

from smetabot.postgres.fields import is_deep

OVERTAKEN = "overtaken"


class ShownField(forms.BoundField):
    """Where its form field has show_hidden_initial, the value as it was shown comes back with what was made of it."""

    @property
    def is_shown_known(self) -> bool:
        """A program may post the values alone; then there is only the row to compare them with."""
        widget = self.field.hidden_widget()
        return not widget.value_omitted_from_data(self.form.data, self.form.files, self.html_initial_name)

    @property
    def is_overtaken(self) -> bool:
        """Whether a value was changed that the row no longer holds."""
        form, field = self.form, self.field
        shown = field.hidden_widget().value_from_datadict(form.data, form.files, self.html_initial_name)
        holds = field.to_python(field.prepare_value(self.initial))
        return self.is_shown_known and self.name in form.changed_data and field.has_changed(holds, shown)

    def _has_changed(self) -> bool:
        if self.field.show_hidden_initial and not self.is_shown_known:
            return self.field.has_changed(self.initial, self.data)
        return super()._has_changed()  # type: ignore[misc]

    def as_widget(self, widget: Any = None, attrs: Any = None, only_initial: bool = False) -> Any:
        if only_initial and self.form.has_error(self.name, OVERTAKEN):
            # The error tells what the row holds, so to send the form once more is to have seen it.
            return type(self.form)(initial=self.form.initial)[self.name].as_widget(widget, attrs, only_initial)
        return super().as_widget(widget, attrs, only_initial)


class RowForm(forms.ModelForm):
    """Refuses to change a value that is not the one shown: a colleague or the bot changed it meanwhile."""

    bound_field_class = ShownField

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        for name in list(self.cleaned_data):
            bound: Any = self[name]
            if bound.field.show_hidden_initial and bound.is_overtaken:
                holds = display_for_value(bound.field.prepare_value(bound.initial), "") or _("nothing")
                message = _("%(field)s was changed meanwhile to %(value)s; look again.")
                params = {"field": bound.label, "value": Truncator(holds).chars(200)}
                self.add_error(name, ValidationError(message, code=OVERTAKEN, params=params))
        return cleaned


class ReasonField(forms.CharField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            label=gettext_lazy("Reason"),
            help_text=gettext_lazy("The journal keeps it."),
            max_length=1000,
            widget=UnfoldAdminTextareaWidget({"rows": 2}),
            **kwargs,
        )


class ReasonedForm(RowForm):
    reason = ReasonField()


class MomentField(forms.DateTimeField):
    """One box, in which the browser lets a day and a time be chosen; to the minute, on the clock of whoever looks."""

    def __init__(self, **kwargs: Any) -> None:
        attrs = {"type": "datetime-local", "class": " ".join(INPUT_CLASSES)}
        super().__init__(widget=forms.DateTimeInput(attrs, format="%Y-%m-%dT%H:%M"), **kwargs)


class FiniteDecimalField(forms.DecimalField):
    def to_python(self, value: Any) -> Any:
        number = super().to_python(value)
        if number is not None and not number.is_finite():  # a signalling NaN cannot even be compared
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return number


class StorableJSON(json.JSONDecoder):
    """Of what Python reads as JSON, that which jsonb stores and a page can show."""

    def decode(self, text: str, *args: Any) -> Any:
        try:
            value = super().decode(text, *args)
            json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        except (ValueError, RecursionError) as error:
            raise json.JSONDecodeError("not JSON that jsonb stores", text, 0) from error
        if r"\u0000" in json.dumps(value).replace(r"\\", ""):
            raise json.JSONDecodeError("a NUL character", text, 0)
        if is_deep(value):
            raise json.JSONDecodeError("too deep", text, 0)
        return value


class ParentSelect(AutocompleteSelect):
    def optgroups(self, name: str, value: Sequence[str], attr: Any = None) -> Any:
        return super().optgroups(name, [key for key in value if self.is_key(key)], attr)

    def is_key(self, value: str) -> bool:
        """From an address or a forged form may come what is none, and Django would look it up all the same."""
        try:
            self.field.target_field.to_python(value)
        except ValidationError:
            return False
        return True
