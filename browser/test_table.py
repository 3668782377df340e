"""What contractors write, and what staff do about it, each in the browser and in both languages."""

import datetime as dt
import json
import re
from io import StringIO

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.db.models import F
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from playwright.sync_api import expect

from adminlog.formats import amount, day, time
from adminlog.models import AdminAction, JobRun
from adminlog.roles import MANAGER, OWNER
from billing.acts import Activate, Cancel, GiveDays, QueueGift
from billing.models import Subscription
from browser.conftest import NUMBERS
from browser.desk import REASON, confirm, do, fill_in, find, is_told, part, sees_page_of
from core.acts import GrantChannels, MoveChannel, Prolong, SwitchOff
from core.models import Channel, Invite
from referrals.acts import Attach
from smetabot.backoffice.acts import ChangeTelegramId, ErasePerson, ExportPerson
from smetabot.tests import bot


@pytest.fixture
def channel(ivan):
    channel = Channel.objects.filter(pk=bot.make_channel(ivan.pk, -1_002_000_000_000 - ivan.pk))
    channel.update(title=f"House {ivan.pk} on the lake", username=f"house_{ivan.pk}_by_the_lake")
    return channel.get()


@pytest.fixture
def invite(channel):
    """Used up by one who came."""
    invite = Invite.objects.get(pk=bot.invite(channel.pk, f"invite_{channel.pk}", max_uses=1))
    bot.let_in(channel.pk, invite.pk, 9_000_000_000 + next(NUMBERS))
    return invite


WORDS = {
    "Telegram id": "{ivan.tg_user_id}",
    "username": "@{ivan.username}",
    "name": "{ivan.full_name}",
    "channel's title": "{channel.title}",
    "channel's username": "@{channel.username}",
    "chat id": "{channel.tg_chat_id}",
    "invite token": "{invite.token}",
    "link to them": "https://t.me/{ivan.username}",
    "link in the app": "tg://user?id={ivan.tg_user_id}",
    "link to a message": "t.me/{channel.username}/17?single",
    "link to a message of a private channel": "https://t.me/c/{channel.tg_chat_id}/17",
    "link to an invite": "https://t.me/smeta_bot?start={invite.token}",
    "link by which they bring others": "https://t.me/smeta_bot?start={ivan.referral_link.token}",
}


def test_its_ivan_my_channel_broke(page, ivan, channel, invite):
    """Nothing but what they wrote is typed, and on any page."""
    page.goto(reverse("admin:billing_gift_changelist"))
    for words in WORDS.values():
        find(page, words.format(ivan=ivan, channel=channel, invite=invite).replace("/c/-100", "/c/"))
        sees_page_of(page, ivan.full_name)
    part(page, _("channels")).get_by_role("link", name=channel.title).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(channel.title)


def test_i_paid_and_i_am_still_on_free(staff, language, meet):
    page, ivan, other = staff(MANAGER), meet(), meet()
    paid = {_("Plan"): "Pro", _("Payment reference"): f"pay-{ivan.pk}"}
    find(page, f"@{ivan.username}")
    do(page, Activate, paid)
    is_told(page, f"pay-{ivan.pk}")
    sees_page_of(page, ivan.full_name)
    expect(part(page, _("Subscription"))).to_contain_text("PRO")

    for again in [other, ivan]:
        find(page, f"@{again.username}")
        fill_in(page, Activate, paid)
        expect(page.get_by_role("button", name=str(Activate.title))).to_have_count(0)
        refused = page.get_by_role("cell")
        for told in [f"pay-{ivan.pk}", f"manager_{language}", REASON]:
            expect(refused).to_contain_text(told)
    refused.get_by_role("link", name=ivan.full_name).first.click()
    sees_page_of(page, ivan.full_name)


def test_where_is_my_gift(staff, ivan):
    bot.pay(ivan.pk, "PRO", 30)
    page = staff(MANAGER)
    find(page, f"@{ivan.username}")
    do(page, QueueGift, {_("Plan"): "Business", _("Days"): "14"})
    until = day(timezone.now() + dt.timedelta(days=30))
    paid_until = _("%(plan)s paid until %(day)s; starts at the next run after") % {"plan": "PRO", "day": until}
    expect(part(page, _("gifts"))).to_contain_text(paid_until)


def test_who_took_my_plan_away(staff, language, ivan):
    bot.pay(ivan.pk, "PRO", 30)
    page = staff(MANAGER)
    find(page, f"@{ivan.username}")
    do(page, Cancel)
    newest = part(page, _("Timeline")).get_by_role("listitem").first
    today = date_format(timezone.localtime(), "DATE_FORMAT")
    for told in [_("Subscription cancelled"), "PRO", "→", REASON, f"manager_{language}", today]:
        expect(newest).to_contain_text(told)
    newest.get_by_role("link", name=_("journal entry")).click()
    is_told(page, REASON)


def test_why_am_i_on_free_again(page, ivan):
    bot.pay(ivan.pk, "PRO", 30)
    before = timezone.now() - dt.timedelta(days=60)
    for _end in ["of what was paid for", "of grace"]:
        Subscription.objects.filter(contractor=ivan).update(starts_at=before, expires_at=before + dt.timedelta(days=1))
        call_command("expire_subscriptions", stdout=StringIO())
    find(page, f"@{ivan.username}")
    newest = part(page, _("Timeline")).get_by_role("listitem").first
    for told in [_("Subscription expired"), "PRO", "→", _("the job expire_subscriptions")]:
        expect(newest).to_contain_text(told)


def test_i_invited_three_people(staff, meet):
    page, ivan, maria = staff(MANAGER), meet(), meet()
    bot.make_channel(maria.pk, -1_003_000_000_000 - maria.pk)
    find(page, f"@{ivan.username}")
    expect(
        part(page, _("Referrals")).get_by_text(_("%(done)s of %(required)s") % {"done": 0, "required": 3})
    ).to_be_visible()
    do(page, Attach, {_("Whom they brought"): maria.full_name})
    lacks = _("Has %(channels)s of %(required)s channels") % {"channels": 1, "required": 2}
    brought = part(page, _("contractors brought")).get_by_role("row").filter(has_text=maria.full_name)
    expect(brought).to_contain_text(lacks)


def test_my_client_cannot_get_in(staff, ivan, invite):
    """Used up; then it was passed on to strangers; then its day has come."""
    page = staff(MANAGER)
    find(page, invite.token)
    row = part(page, _("invites")).get_by_role("row").filter(has_text=invite.token)
    expect(row).to_contain_text(_("%(used)s of %(most)s, %(left)s left") % {"used": 1, "most": 1, "left": 0})
    row.get_by_role("link", name=str(Prolong.title)).click()
    page.get_by_label(_("How often it may be used in all")).fill("5")
    page.get_by_role("button", name=_("Show what will happen")).click()
    confirm(page, Prolong)
    sees_page_of(page, ivan.full_name)
    expect(row).to_contain_text(_("%(used)s of %(most)s, %(left)s left") % {"used": 1, "most": 5, "left": 4})

    row.get_by_role("link", name=invite.token).click()
    expect(part(page, _("clients who came by it")).get_by_role("row")).to_have_count(2)
    do(page, SwitchOff)
    is_told(page, _("Expired"))
    do(page, Prolong)
    is_told(page, _("Active"))
    invite.refresh_from_db()
    assert (invite.used_count, invite.max_uses) == (1, 5)
    is_told(page, time(invite.expires_at))


def test_i_burnt_my_free_channel(staff, ivan, channel):
    page = staff(MANAGER)
    find(page, f"@{ivan.username}")
    do(page, GrantChannels, {_("How many"): "1"})
    is_told(page, REASON)
    ivan.refresh_from_db()
    assert ivan.bonus_channels == 1


def test_i_lost_my_telegram_account(staff, meet):
    """The new one has started the bot already, as people do."""
    page, ivan, empty = staff(MANAGER), meet(), meet()
    find(page, str(ivan.tg_user_id))
    do(page, ChangeTelegramId, {_("New Telegram id"): f"id {empty.tg_user_id}"})
    sees_page_of(page, ivan.full_name)
    is_told(page, str(empty.pk))
    find(page, f"tg://user?id={empty.tg_user_id}")
    sees_page_of(page, ivan.full_name)
    empty.refresh_from_db()
    assert empty.tg_user_id is None


def test_this_channel_is_my_partners(staff, meet, ivan, channel):
    page, partner = staff(MANAGER), meet()
    find(page, channel.title)
    part(page, _("channels")).get_by_role("link", name=channel.title).click()
    do(page, MoveChannel, {_("To whom"): partner.full_name})
    find(page, channel.title)
    sees_page_of(page, partner.full_name)
    expect(part(page, _("Timeline"))).to_contain_text(REASON)
    channel.refresh_from_db()
    assert channel.moved_at and ivan.usage.channels_created_total == 1


def test_what_do_you_hold_on_me(staff, ivan, channel):
    page = staff(OWNER)
    find(page, f"@{ivan.username}")
    fill_in(page, ExportPerson, {})
    with page.expect_download() as download:
        confirm(page, ExportPerson)
    held = json.loads(download.value.path().read_text("utf-8"))
    assert ivan.full_name in json.dumps(held, ensure_ascii=False)


def test_delete_me(staff, ivan, channel):
    page = staff(OWNER)
    find(page, f"@{ivan.username}")
    do(page, GrantChannels, {_("How many"): "1"})
    fill_in(page, ErasePerson, {})
    page.get_by_label(_("Reason")).fill("A request, ticket 4712.")
    page.get_by_role("button", name=str(ErasePerson.title), exact=True).click()
    is_told(page, _("Erased"))
    names = [ivan.username, ivan.full_name, ivan.tg_user_id, channel.title, channel.username]
    for name in map(str, names):
        expect(page.get_by_text(name)).to_have_count(0)
    for name in map(str, names):
        find(page, name)
        is_told(page, ngettext("%(number)s row", "%(number)s rows", 0) % {"number": 0})
    assert list(tables_with(names)) == []


def tables_with(words):
    like = [f"%{word}%" for word in words]
    with connection.cursor() as cursor:
        for table in {model._meta.db_table for model in apps.get_models() if model._meta.managed}:
            cursor.execute(f'SELECT 1 FROM "{table}" AS row WHERE row::text LIKE ANY (%s) LIMIT 1', [like])
            if cursor.fetchone():
                yield table


def test_give_a_few_a_week_for_the_outage(staff, language, meet):
    """Who was chosen, and for what one of them is left out."""
    page = staff(MANAGER)
    word = f"few {language} {next(NUMBERS)}"
    free, paying, endless, other = everybody = [meet(full_name=f"{word} {number}") for number in range(4)]
    for each in [paying, endless]:
        bot.pay(each.pk, "PRO", 30)
    Subscription.objects.filter(contractor=endless).update(expires_at=None)
    find(page, f'"{word}"')
    for each in [free, paying, endless]:
        page.get_by_role("row").filter(has_text=each.full_name).get_by_role("checkbox").check()
    give_days(page)
    expect(page.get_by_role("heading", name=_("This cannot be done, and why"))).to_be_visible()
    endless_row = page.get_by_role("row").filter(has_text=endless.full_name)
    expect(endless_row).to_contain_text(_("%(plan)s has no end here: there is nothing to extend.") % {"plan": "Pro"})
    expect(page.get_by_role("row").filter(has_text=other.full_name)).to_have_count(0)
    confirm(page, GiveDays)
    expect(page.get_by_role("heading", name=_("Skipped, and why"))).to_be_visible()
    expect(endless_row).to_be_visible()
    acts = [AdminAction.objects.filter(contractors__contains=[each.pk]).count() for each in everybody]
    assert acts == [1, 1, 0, 0]
    page.get_by_role("link", name=paying.full_name).click()
    expect(part(page, _("Timeline")).get_by_role("listitem").first).to_contain_text(REASON)


def give_days(page):
    page.get_by_label(_("Select action to run")).select_option(label=str(GiveDays.title))
    page.get_by_role("button", name=_("Run")).click()
    page.get_by_label(_("Days")).fill("7")
    page.get_by_role("button", name=_("Show what will happen")).click()
    expect(page.get_by_role("heading", name=_("This will happen"))).to_be_visible()


@pytest.mark.parametrize("language", ["ru"], indirect=True)
def test_give_everybody_a_week_for_the_outage(staff, language, meet):
    page = staff(MANAGER)
    word = f"outage {language} {next(NUMBERS)}"
    everybody = [meet(full_name=f"{word} {number}") for number in range(52)]
    find(page, f'"{word}"')
    page.get_by_role("checkbox").first.check()
    page.get_by_role("link", name=re.compile(r"\b52\b")).click()
    give_days(page)
    confirm(page, GiveDays)
    expect(page.get_by_role("heading", name=_("Done"))).to_be_visible()
    expect(page.get_by_role("cell", name=word)).to_have_count(len(everybody))
    journal = AdminAction.objects.filter(part_of__action="days.given", part_of__details__personal__reason=REASON)
    assert journal.filter(contractors__overlap=[each.pk for each in everybody]).count() == len(everybody)


def test_is_the_system_alive(page):
    ago = dt.timedelta(days=40)
    JobRun.objects.filter(command="apply_gifts").update(started_at=F("started_at") - ago)
    JobRun.objects.create(
        command="advance_referrals", finished_at=timezone.now(), outcome="failed", error="deadlock detected"
    )
    page.goto("/admin/")
    jobs = page.get_by_role("table").last
    for job in ["expire_subscriptions", "aggregate_stats", "check_data"]:
        expect(jobs.get_by_role("row").filter(has_text=job)).to_contain_text(_("Done"))
    expect(jobs.get_by_role("row").filter(has_text="apply_gifts")).to_contain_text(_("late"))
    expect(jobs.get_by_role("row").filter(has_text="advance_referrals")).to_contain_text("deadlock detected")
    page.get_by_role("link", name=_("%(command)s is late") % {"command": "apply_gifts"}).click()
    expect(page.get_by_role("cell", name="apply_gifts").first).to_be_visible()
    page.goto("/admin/")
    page.get_by_role("link", name=_("%(command)s failed") % {"command": "advance_referrals"}).click()
    is_told(page, "deadlock detected")


def test_each_number_leads_to_that_many_rows(page):
    page.goto("/admin/")
    cards = page.locator("dd, p").get_by_role("link", name=re.compile(r"^[\d\s,.]+$"))
    numbers = cards.evaluate_all("(links) => links.map((link) => [link.innerText, link.getAttribute('href')])")
    # The findings of check_data are told by its run.
    lists = [(shown, url) for shown, url in numbers if "/jobrun/" not in url]
    assert len(lists) > 15
    for shown, url in lists[::4]:
        page.goto("/admin/")
        page.locator(f'dd a[href="{url}"], p a[href="{url}"]').first.click()
        number = int(re.sub(r"\D", "", shown))
        told = ngettext("%(number)s row", "%(number)s rows", number) % {"number": amount(number)}
        expect(page.get_by_text(re.compile(rf"(?<!\S){re.escape(told)}(?!\S)")).last).to_be_visible()


def test_what_one_noted_of_a_contractor_others_read(staff, page, ivan):
    find(page, f"@{ivan.username}")
    part(page, _("notes")).get_by_role("link", name=_("Add")).click()
    page.get_by_role("textbox", name=_("text")).fill("Call after six, not before.")
    page.get_by_role("button", name=_("Save"), exact=True).click()
    colleague = staff(MANAGER)
    find(colleague, f"@{ivan.username}")
    expect(part(colleague, _("notes"))).to_contain_text("Call after six, not before.")
