"""What contractors write, and what staff do about it, each in the browser and in both languages."""

import datetime as dt
import json
import re

import pytest
from django.utils import timezone
from django.utils.translation import gettext as _
from playwright.sync_api import expect

from adminlog.formats import day
from adminlog.models import AdminAction
from adminlog.roles import MANAGER, OWNER
from billing.acts import Activate, GiveDays, QueueGift
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
    channel.update(title=f"House {ivan.pk} on the lake", username=f"house_{ivan.pk}")
    return channel.get()


@pytest.fixture
def invite(channel):
    invite = Invite.objects.get(pk=bot.invite(channel.pk, f"invite_{channel.pk}", max_uses=2))
    bot.let_in(channel.pk, invite.pk, 9_000_000_000 + next(NUMBERS))
    return invite


WORDS = {
    "Telegram id": "{ivan.tg_user_id}",
    "username": "it's @{ivan.username}",
    "name": "{ivan.full_name}",
    "channel's title": "{channel.title}",
    "channel's username": "@{channel.username}",
    "chat id": "{channel.tg_chat_id}",
    "invite token": "{invite.token}",
    "link to a channel": "https://t.me/{channel.username}/17",
    "link to an invite": "https://t.me/smeta_bot?start={invite.token}",
}


def test_its_ivan_my_channel_broke(page, ivan, channel, invite):
    """Nothing but what they wrote is typed, and it may be typed on any page."""
    for words in WORDS.values():
        find(page, words.format(ivan=ivan, channel=channel, invite=invite).removeprefix("it's "))
        sees_page_of(page, ivan.full_name)
    part(page, _("channels")).get_by_role("link", name=channel.title).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(channel.title)


def test_i_paid_and_i_am_still_on_free(staff, meet):
    page, ivan, other = staff(MANAGER), meet(), meet()
    paid = {_("Plan"): "Pro", _("Payment reference"): f"pay-{ivan.pk}"}
    find(page, f"@{ivan.username}")
    do(page, Activate, paid)
    is_told(page, f"pay-{ivan.pk}")
    sees_page_of(page, ivan.full_name)
    expect(part(page, _("Subscription"))).to_contain_text("PRO")

    find(page, f"@{other.username}")
    fill_in(page, Activate, paid)
    expect(page.get_by_role("button", name=str(Activate.title))).to_have_count(0)
    page.get_by_role("cell").get_by_role("link", name=ivan.full_name).click()
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
    page = staff(MANAGER)
    find(page, f"@{ivan.username}")
    do(page, Activate, {_("Plan"): "Pro", _("Days"): "10"})
    timeline = part(page, _("Timeline"))
    newest = timeline.get_by_role("listitem").first
    for told in ["FREE", "PRO", REASON, f"manager_{language}"]:
        expect(newest).to_contain_text(told)
    newest.get_by_role("link", name=_("journal entry")).click()
    is_told(page, REASON)


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
    page = staff(MANAGER)
    find(page, invite.token)
    row = part(page, _("invites")).get_by_role("row").filter(has_text=invite.token)
    row.get_by_role("link", name=str(Prolong.title)).click()
    page.get_by_label(_("How often it may be used in all")).fill("5")
    page.get_by_role("button", name=_("Show what will happen")).click()
    confirm(page, Prolong)
    assert Invite.objects.get(pk=invite.pk).max_uses == 5
    part(page, _("invites")).get_by_role("link", name=invite.token).click()
    do(page, SwitchOff)
    is_told(page, _("Expired"))
    held = Invite.objects.get(pk=invite.pk)
    assert held.expires_at <= timezone.now() and held.used_count == 1


def test_i_burnt_my_free_channel(staff, ivan, channel):
    page = staff(MANAGER)
    find(page, f"@{ivan.username}")
    do(page, GrantChannels, {_("How many"): "1"})
    is_told(page, REASON)
    ivan.refresh_from_db()
    assert ivan.bonus_channels == 1


def test_i_lost_my_telegram_account(staff, ivan):
    page = staff(MANAGER)
    new = str(9_500_000_000 + ivan.pk)
    find(page, f"@{ivan.username}")
    do(page, ChangeTelegramId, {_("New Telegram id"): f"id {new}"})
    find(page, new)
    sees_page_of(page, ivan.full_name)


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
    fill_in(page, ErasePerson, {})
    page.get_by_label(_("Reason")).fill("A request, ticket 4712.")
    page.get_by_role("button", name=str(ErasePerson.title), exact=True).click()
    is_told(page, _("Erased"))
    expect(page.get_by_text(ivan.username)).to_have_count(0)
    ivan.refresh_from_db()
    assert (ivan.tg_user_id, ivan.username, ivan.full_name) == (None, None, None)


def test_give_everybody_a_week_for_the_outage(staff, language, meet):
    page = staff(MANAGER)
    word = f"outage {language} {next(NUMBERS)}"
    everybody = [meet(full_name=f"{word} {number}") for number in range(60)]
    find(page, f'"{word}"')
    page.get_by_role("checkbox").first.check()
    page.get_by_role("link", name=re.compile(r"\b60\b")).click()
    page.get_by_label(_("Select action to run")).select_option(label=str(GiveDays.title))
    page.get_by_role("button", name=_("Run")).click()
    page.get_by_label(_("Days")).fill("7")
    page.get_by_role("button", name=_("Show what will happen")).click()
    expect(page.get_by_role("heading", name=_("This will happen"))).to_be_visible()
    confirm(page, GiveDays)
    expect(page.get_by_role("heading", name=_("Done"))).to_be_visible()
    expect(page.get_by_role("cell", name=word)).to_have_count(len(everybody))
    journal = AdminAction.objects.filter(part_of__action="days.given", part_of__details__personal__reason=REASON)
    assert journal.filter(contractors__overlap=[each.pk for each in everybody]).count() == len(everybody)


def test_is_the_system_alive(page):
    page.goto("/admin/")
    jobs = page.get_by_role("table").last
    for job in ["expire_subscriptions", "advance_referrals", "apply_gifts", "aggregate_stats", "check_data"]:
        expect(jobs.get_by_role("row").filter(has_text=job)).to_contain_text(_("Done"))
    waiting = page.get_by_role("link", name=re.compile(r"^\d+$")).first
    number = waiting.inner_text()
    waiting.click()
    expect(page.locator("#main")).to_contain_text(number)


def test_what_one_noted_of_a_contractor_others_read(staff, page, ivan):
    find(page, f"@{ivan.username}")
    part(page, _("notes")).get_by_role("link", name=_("Add")).click()
    page.get_by_role("textbox", name=_("text")).fill("Call after six, not before.")
    page.get_by_role("button", name=_("Save"), exact=True).click()
    colleague = staff(MANAGER)
    find(colleague, f"@{ivan.username}")
    expect(part(colleague, _("notes"))).to_contain_text("Call after six, not before.")
