"""Both languages, and everybody's own clock."""

import datetime as dt
import re
from html.parser import HTMLParser

import pytest
from babel.messages import Catalog
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils import timezone, translation

from adminlog.factories import JobRunFactory
from adminlog.models import AdminAction, AdminUser
from adminlog.preferences import prefer
from adminlog.tests.form import look_ahead
from adminlog.tests.staff import browser
from billing.factories import GiftFactory
from billing.models import Gift, Plan
from core.factories import ChannelFactory, ContractorFactory, PublicationFactory
from smetabot.management.commands import messages
from smetabot.tests.test_backoffice import row_of

pytestmark = pytest.mark.django_db


class Words(HTMLParser):
    """What a page says: its text, and what it says to those who do not see it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.silent = 0
        self.open: list[tuple[str, bool]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        known = dict(attrs)
        icon = "material-symbols-outlined" in (known.get("class") or "")
        if tag not in ("input", "img", "br", "meta", "link", "hr", "path", "source"):
            self.open.append((tag, icon or tag in ("script", "style", "svg", "pre", "code")))
        self.found += [known[name] for name in ("title", "placeholder", "aria-label", "alt") if known.get(name)]
        if tag == "input" and known.get("type") in ("submit", "button"):
            self.found.append(known.get("value") or "")

    def handle_endtag(self, tag):
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        if data.strip() and not any(silent for _, silent in self.open):
            self.found.append(" ".join(data.split()))


# What is the same in both languages, and what the rows of the tests are called.
ALIKE = re.compile(
    r"""
    SmetaBot|Telegram|ID|CRM|CSV|XLSX|Excel|JSON|UTC|English|esc|gzip
    |FREE|PRO|BUSINESS|Free|Pro|Business
    |@?[a-z]+[-_][a-z0-9_-]+|@\w+|[a-z_]+\.[a-z_]+|[0-9a-f]{8,}|\w+\.(?:xlsx|pdf)|xlsx|pdf
    |anna|system|userbot|login\ \d+|act\ no\ \d+|--now|\{[^}]*\}
    """,
    re.VERBOSE | re.IGNORECASE,
)
# Choices of the time zone, and what somebody wrote.
WRITTEN = ["contractor", "They asked for it.", "Wants to be called after six.", "gift 5: it does not start"]


def english(page):
    said = [text for text in Words(page).found if "/" not in text and text not in WRITTEN]
    return {text for text in said if re.search("[A-Za-z]{2,}", ALIKE.sub("", text))}


@pytest.fixture
def russian():
    """A member of staff's browser."""

    def start(role="owner", **row):
        client = browser(role)
        AdminUser.objects.filter(username="anna").update(language="ru", **row)
        return client

    return start


PAGES = ["index", "preferences", "second_factor", "password_change"]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_no_english_left_in_russian(page, russian):
    assert english(russian().get(reverse(f"admin:{page}")).content.decode()) == set()


@pytest.mark.parametrize("model", admin.site._registry, ids=lambda model: model._meta.label)
def test_the_pages_of_a_table_have_no_english_left_in_russian(model, russian):
    client, row, page = russian(), row_of(model), admin.site._registry[model]
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    paths = [reverse(f"{name}_changelist"), reverse(f"{name}_change", args=[row.pk])]
    paths += [reverse(f"{name}_add")] if "add" in page.allows else []
    paths += [reverse(f"{name}_export"), *(reverse(f"{name}_{act.name}", args=[row.pk]) for act in page.operations)]
    assert {path: left for path in paths if (left := english(client.get(path).content.decode()))} == {}


def test_what_an_act_did_and_the_timeline_of_it_are_told_in_russian(russian):
    client, contractor = russian(), ContractorFactory(full_name="Иван Петров")
    path = reverse("admin:core_contractor_grant_channels", args=[contractor.pk])
    form = look_ahead(client, path, number=2) | {"reason": "Сжёг канал", "step": "confirm"}
    told = client.post(path, form, follow=True).content.decode()
    assert "Иван Петров: бонусные каналы 0 → 2." in told
    assert "Бонусные каналы изменены" in told
    assert english(told) == set()


def test_the_jobs_are_told_of_in_russian(russian):
    counts = {"applied": 1234, "waiting": 2, "unheard_of": 3}
    JobRunFactory(command="apply_gifts", outcome="done", finished_at=timezone.now(), counts=counts)
    page = russian().get(reverse("admin:index")).content.decode()
    assert "подарков начато: 1\xa0234, ждут: 2, unheard_of: 3" in page
    assert english(page) == set()


@pytest.mark.parametrize("path", ["find/?q=nobody_here", "find/?q=", "nothing/", "login/code/"])
def test_where_there_is_nothing_it_is_said_in_russian(path, russian):
    page = russian().get(reverse("admin:index") + path, follow=True).content.decode()
    assert english(page) == set()


def test_what_a_role_may_not_is_said_in_russian(russian):
    page = russian("support").get(reverse("admin:core_contractor_export"))
    assert page.status_code == 403
    assert "Это вам недоступно" in page.content.decode()
    assert english(page.content.decode()) == set()


def test_whoever_is_not_logged_in_reads_what_the_office_has_set(client, settings):
    settings.STAFF_LANGUAGE = "ru"
    page = client.get(reverse("admin:login")).content.decode()
    assert english(page) == set()
    assert '<html lang="ru"' in page


def test_a_request_leaves_language_and_clock_as_they_were(russian):
    russian(time_zone="Asia/Almaty").get(reverse("admin:index"))
    assert (translation.get_language(), timezone.get_current_timezone_name()) == ("en", "UTC")


def test_one_chooses_language_and_time_zone_oneself(anna):
    page = anna.post(reverse("admin:preferences"), {"language": "ru", "time_zone": "Asia/Almaty"}, follow=True)
    assert "Настройки сохранены." in page.content.decode()
    act = AdminAction.objects.get(action="admin_user.preferences_changed")
    assert (act.admin.username, act.payload["after"]) == ("anna", {"language": "ru"})
    assert act.details.personal["after"] == {"time_zone": "Asia/Almaty"}


def test_no_zone_is_taken_that_is_none(anna):
    page = anna.post(reverse("admin:preferences"), {"language": "", "time_zone": "Moscow"})
    assert "time_zone" in page.context["form"].errors
    with pytest.raises(ValidationError, match="There is no time zone Moscow"):
        prefer(AdminUser.objects.get(username="anna"), language=None, time_zone="Moscow")


def test_a_zone_that_this_machine_does_not_know_locks_nobody_out(russian):
    assert russian(time_zone="Mars/Olympus").get(reverse("admin:preferences")).status_code == 200


def test_times_are_shown_by_the_clock_of_whoever_looks(russian):
    gift = GiftFactory(queued_at=dt.datetime(2026, 1, 31, 22, 30, tzinfo=dt.UTC))
    page = russian(time_zone="Asia/Almaty").get(reverse("admin:billing_gift_change", args=[gift.pk]))
    assert "1\xa0фев\xa02026, 03:30" in page.content.decode()


def test_times_are_read_by_the_clock_of_whoever_writes(russian):
    day = {"created_at_from_0": "31.01.2026", "created_at_from_1": "12:00"}
    changes = russian(time_zone="Asia/Almaty").get(reverse("admin:adminlog_adminaction_changelist"), day)
    asked = str(changes.context["cl"].queryset.query)
    assert "2026-01-31 12:00:00+05:00" in asked


def test_numbers_are_in_the_readers_form_and_ids_are_none(russian):
    channel = ChannelFactory(tg_chat_id=-1001234567890)
    PublicationFactory(channel=channel, message_id=7654321, views=1234567)
    publications = reverse("admin:core_publication_changelist")
    client = russian()
    assert "1\xa0234\xa0567" in client.get(publications).content.decode()
    assert "-1001234567890" in client.get(reverse("admin:core_channel_changelist")).content.decode()
    assert "590,00" in client.get(reverse("admin:billing_plan_changelist")).content.decode()
    AdminUser.objects.update(language="en")
    assert "1,234,567" in client.get(publications).content.decode()


@pytest.mark.parametrize(("days", "says"), [(1, "1\xa0день"), (2, "2\xa0дня"), (5, "5\xa0дней"), (21, "21\xa0день")])
def test_a_count_has_its_russian_plural(days, says):
    with translation.override("ru"):
        assert str(Gift(days=days, plan=Plan(name="Pro"))) == f"{says} Pro"


@pytest.mark.django_db(transaction=True)
def test_a_command_speaks_english_whatever_the_office_has_set(manage):
    process = manage("apply_gifts", STAFF_LANGUAGE="ru")
    assert process.communicate(timeout=60)[0].startswith("apply_gifts: 0 ")


PO = """
msgid ""
msgstr "Content-Type: text/plain; charset=utf-8\\nPlural-Forms: nplurals=3; plural=0;\\n"

msgid "Save %(what)s"
msgstr "{save}"

msgid "%(count)s day"
msgid_plural "%(count)s days"
msgstr[0] "%(count)s день"
msgstr[1] "{few}"
msgstr[2] "%(count)s дней"
"""
RIGHT = {"save": "Сохранить %(what)s", "few": "%(count)s дня"}


@pytest.fixture
def wrong(tmp_path):
    """What the check says of a catalogue, when the code says so."""

    def find(catalogue=PO, also=(), stale=False, **texts):
        text = catalogue
        for name, value in (RIGHT | texts).items():
            text = text.replace(f"{{{name}}}", value)
        (tmp_path / "django.po").write_text(text, "utf-8")
        compiled = b"" if stale else messages.compiled(messages.read(tmp_path))
        (tmp_path / "django.mo").write_bytes(compiled)
        wanted = Catalog()
        for message in ["Save %(what)s", ("%(count)s day", "%(count)s days"), *also]:
            wanted.add(message, locations=[("code.py", 0)])
        return messages.problems(tmp_path, wanted)

    return find


def test_a_catalogue_that_is_complete_has_nothing_wrong(wrong):
    assert wrong() == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"also": ["Cancel"]}, "code.py: 'Cancel': not in the catalogue"),
        ({"catalogue": PO + '\nmsgid "Old"\nmsgstr "Старое"\n'}, "django.po: 'Old': nothing says it any more"),
        ({"catalogue": PO + '\n#~ msgid "Old"\n#~ msgstr "Старое"\n'}, "django.po: 'Old': nothing says it any more"),
        ({"save": ""}, "django.po: 'Save %(what)s': not translated"),
        ({"few": ""}, "django.po: '%(count)s day': not translated"),
        ({"catalogue": PO.replace('msgid "Save', '#, fuzzy\nmsgid "Save')}, "django.po: 'Save %(what)s': fuzzy"),
        ({"save": "Сохранить %(wat)s"}, "django.po: 'Save %(what)s': other placeholders than in English"),
        ({"few": "дня"}, "django.po: '%(count)s day': other placeholders than in English"),
        ({"stale": True}, "django.mo is not what django.po compiles to: run make messages"),
    ],
)
def test_what_is_wrong_with_a_catalogue_is_said(wrong, given, says):
    assert says in wrong(**given)


def test_the_themes_words_are_looked_for_too():
    places = {place for message in messages.said() for place, _ in message.locations}
    assert any(place.startswith("unfold/templates") for place in places)
    assert any(place == "unfold/widgets.py" for place in places)
