"""What a browser would send of a page's forms."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class Form:
    id: str = ""
    method: str = "get"
    fields: dict[str, str] = field(default_factory=dict)


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        # Of all that can be filled in or pressed, in a form or not.
        self.names: set[str] = set()
        self.inside: Form | None = None
        self.choosing = self.writing = ""
        self.feed(text)

    def form_with(self, name: str) -> Form | None:
        """The first one that asks for that."""
        return next((form for form in self.forms if name in form.fields), None)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        name, value, kind = (given.get(each, "") for each in ("name", "value", "type"))
        if tag == "form":
            self.inside = Form(given.get("id", ""), given.get("method", "get").lower())
            self.forms.append(self.inside)
            return
        if name and tag in ("input", "select", "textarea", "button"):
            self.names.add(name)
        if self.inside is None:
            return
        fields = self.inside.fields
        if tag == "input" and kind not in ("submit", "button") and (kind != "checkbox" or "checked" in given):
            fields[name] = value or ("on" if kind == "checkbox" else "")
        elif tag == "select":
            self.choosing = name
        elif tag == "option" and "selected" in given:
            fields[self.choosing] = value
        elif tag == "textarea":
            self.writing, fields[name] = name, ""

    def handle_data(self, data: str) -> None:
        if self.inside and self.writing:
            self.inside.fields[self.writing] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.inside = None
        elif tag == "textarea":
            self.writing = ""


def merged(forms: Iterable[Form]) -> dict[str, str]:
    return {name: value for form in forms for name, value in form.fields.items()}
