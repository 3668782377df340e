"""What a browser would send of a page's forms."""

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class Form:
    fields: dict[str, str] = field(default_factory=dict)


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.inside: Form | None = None
        self.choosing = self.writing = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name, value, kind = (given.get(each) or "" for each in ("name", "value", "type"))
        if tag == "form":
            self.inside = Form()
            self.forms.append(self.inside)
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


def form_with(name: str, page: str) -> Form | None:
    """The one that asks for that."""
    reader = Reader()
    reader.feed(page)
    return next((form for form in reader.forms if name in form.fields), None)
