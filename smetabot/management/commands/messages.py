"""The Russian catalogue, which GNU gettext is not needed for: what is in the code and what is translated of it."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
from babel.messages import Catalog, Message
from babel.messages.extract import extract
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po, write_po
from django.apps import AppConfig, apps
from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils.translation.template import templatize

from adminlog.jobs import OneLineCommand

CATALOGUE = Path("locale", "ru", "LC_MESSAGES")
FUNCTIONS: dict[str, Any] = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
    "npgettext_lazy": ((1, "c"), 2, 3),
}
# No page shows what is said there, or it belongs to a part of the theme that is not installed.
PASSED_OVER = {"contrib", "demo", "management", "migrations", "tests"}
NO_PAGES = {"django_crontab", "django_extensions"}
# Django's Russian puts any noun into these in one case and one gender: «Изменить публикация», «подписка был удален».
REWORDED = [
    "%(app)s administration",
    "%(name)s with ID “%(key)s” doesn’t exist. Perhaps it was deleted?",
    "Add %(name)s",
    "Add %s",
    "Add another %(verbose_name)s",
    'Are you sure you want to delete the %(object_name)s "%(escaped_object)s"? All of the following related items will'
    " be deleted:",
    "Are you sure you want to delete the selected %(objects_name)s? All of the following objects and their related"
    " items will be deleted:",
    "Cannot delete %(name)s",
    "Change %s",
    "Delete selected %(verbose_name_plural)s",
    "Select %s",
    "Select all %(total_count)s %(module_name)s",
    "Select %s to change",
    "Select %s to view",
    "Successfully deleted %(count)d %(items)s.",
    "The %(name)s “%(obj)s” was deleted successfully.",
    "The {name} “{obj}” was added successfully.",
    "The {name} “{obj}” was added successfully. You may add another {name} below.",
    "The {name} “{obj}” was added successfully. You may edit it again below.",
    "The {name} “{obj}” was changed successfully.",
    "The {name} “{obj}” was changed successfully. You may add another {name} below.",
    "The {name} “{obj}” was changed successfully. You may edit it again below.",
    "View %s",
    # «5 май».
    "may",
]
PLACEHOLDER = re.compile(r"%\([^)]*\)[a-z]|%[a-z%]|\{\w*\}")


class Command(OneLineCommand):
    help = "Brings the Russian catalogue up to the code, or only says what is wrong with it."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing; fail if anything is wrong")

    def handle(self, *, check: bool, **options: Any) -> None:
        folder = settings.BASE_DIR / "smetabot" / CATALOGUE
        wanted = said()
        if not check:
            update(folder, wanted)
        wrong = problems(folder, wanted)
        for problem in wrong:
            self.stderr.write(problem)
        if wrong:
            raise CommandError(f"The Russian catalogue is not complete: {len(wrong)} problems, named above")


def said() -> Catalog:
    """All that our pages say, and of what others say there whatever is not translated by themselves or by Django."""
    ours = [app for app in apps.get_app_configs() if Path(app.path).parent == settings.BASE_DIR]
    others = [app for app in apps.get_app_configs() if app not in ours]
    catalog, known = Catalog(), translated([Path(django.__file__).parent / "conf", *(Path(app.path) for app in others)])
    for app in ours + [app for app in others if not app.name.startswith("django.") and app.name not in NO_PAGES]:
        for place, message, context in messages_in(app):
            key = message if isinstance(message, str) else message[0]
            if app in ours or (context, key) not in known:
                catalog.add(message, locations=[(place, 0)], context=context)
    for text in REWORDED:
        catalog.add(text, locations=[("django", 0)])
    return catalog


def translated(folders: list[Path]) -> set[tuple[str | None, str]]:
    found = set()
    for path in (folder / CATALOGUE / "django.mo" for folder in folders):
        if path.exists():
            with path.open("rb") as file:
                found |= {
                    (message.context, message.id if isinstance(message.id, str) else message.id[0])
                    for message in read_mo(file)
                    if complete(message)
                }
    return found


def messages_in(app: AppConfig) -> Iterator[tuple[str, Any, str | None]]:
    root = Path(app.path)
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        if path.suffix not in (".py", ".html") or PASSED_OVER & set(inside.parts):
            continue
        source = path.read_text("utf-8")
        if path.suffix == ".html":
            # In brackets, since a template is not indented as Python is.
            source = f"({templatize(source)}\n)"
        for _line, message, _comments, context in extract("python", io.BytesIO(source.encode()), FUNCTIONS):
            yield f"{root.name}/{inside}", message, context


def update(folder: Path, wanted: Catalog) -> None:
    catalog = read(folder)
    catalog.update(wanted, no_fuzzy_matching=True, update_creation_date=False)
    with (folder / "django.po").open("wb") as file:
        write_po(file, catalog, width=120, ignore_obsolete=True, sort_by_file=True, include_lineno=False)
    (folder / "django.mo").write_bytes(compiled(read(folder)))


def read(folder: Path) -> Catalog:
    with (folder / "django.po").open("rb") as file:
        return read_po(file, locale="ru")


def compiled(catalog: Catalog) -> bytes:
    file = io.BytesIO()
    write_mo(file, catalog)
    return file.getvalue()


def problems(folder: Path, wanted: Catalog) -> list[str]:
    catalog = read(folder)
    found = [
        *(f"{says(message)}: not in the catalogue" for message in wanted if message.id and not there(message, catalog)),
        *(f"{says(message)}: nothing says it any more" for message in obsolete(catalog, wanted)),
    ]
    for message in catalog:
        if not message.id:
            continue
        if not complete(message):
            found.append(f"{says(message)}: not translated")
        elif message.fuzzy:
            found.append(f"{says(message)}: fuzzy")
        elif not keeps_placeholders(message):
            found.append(f"{says(message)}: other placeholders than in English")
    path = folder / "django.mo"
    if not path.exists() or path.read_bytes() != compiled(catalog):
        found.append("django.mo is not what django.po compiles to: run make messages")
    return found


def there(message: Message, catalog: Catalog) -> bool:
    found = catalog.get(message.id, message.context)
    return found is not None and found.id == message.id


def obsolete(catalog: Catalog, wanted: Catalog) -> list[Message]:
    unsaid = [message for message in catalog if message.id and not there(message, wanted)]
    return [*unsaid, *catalog.obsolete.values()]


def says(message: Message) -> str:
    text = message.id if isinstance(message.id, str) else message.id[0]
    return f"{', '.join(sorted({place for place, _ in message.locations})) or 'django.po'}: {text!r}"


def texts(message: Message) -> list[str]:
    return [message.string] if isinstance(message.string, str) else list(message.string or ())


def complete(message: Message) -> bool:
    return all(texts(message)) and (not message.pluralizable or len(texts(message)) > 2)


def keeps_placeholders(message: Message) -> bool:
    """Each form has those of the English plural."""
    english = message.id if isinstance(message.id, str) else message.id[-1]
    return all(sorted(PLACEHOLDER.findall(text)) == sorted(PLACEHOLDER.findall(english)) for text in texts(message))
