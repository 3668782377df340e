import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from adminlog.factories import NoteFactory
from adminlog.models import AdminAction
from adminlog.tests.staff import browser
from billing.factories import GiftFactory, SubscriptionFactory, SubscriptionHistoryFactory, UsageCounterFactory
from billing.models import Gift, Plan, Subscription
from core.factories import (
    ChannelFactory,
    ClientFactory,
    ContractorFactory,
    InviteFactory,
    PublicationFactory,
    TeamMemberFactory,
)
from core.models import Contractor
from referrals.cycles import advance_referrals
from referrals.factories import ReferralCycleFactory, ReferralFactory, ReferralLinkFactory
from smetabot.tests import bot

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)
Status = Subscription.Status


def page(contractor: Contractor) -> str:
    return reverse("admin:core_contractor_change", args=[contractor.pk])


def header(anna, contractor):
    return anna.get(page(contractor)).context["header"]


def flags(anna, contractor) -> list[str]:
    return [flag.text for flag in header(anna, contractor).flags]


def test_the_page_costs_as_many_queries_whatever_the_contractor_owns(anna):
    def cost(contractor) -> int:
        with CaptureQueriesContext(connection) as captured:
            response = anna.get(page(contractor))
        assert response.status_code == 200
        return len(captured)

    def own(contractor, times: int) -> None:
        for channel in ChannelFactory.create_batch(times, contractor=contractor, moved_at=timezone.now()):
            invite = InviteFactory(channel=channel)
            ClientFactory(channel=channel, invite=invite)
            PublicationFactory(channel=channel)
        GiftFactory.create_batch(times, contractor=contractor)
        GiftFactory.create_batch(times, contractor=contractor, withdrawn=True)
        SubscriptionHistoryFactory.create_batch(times, contractor=contractor)
        ReferralFactory.create_batch(times, referrer=contractor)
        TeamMemberFactory.create_batch(times, owner_contractor=contractor)
        TeamMemberFactory.create_batch(times, member_contractor=contractor)
        NoteFactory.create_batch(times, contractor_id=contractor.pk)
        for number in range(times):
            number += 1 + contractor.referral_cycles.count()
            ReferralCycleFactory(referrer=contractor, cycle_no=number, completed_at=timezone.now())

    empty, owner = ContractorFactory(), SubscriptionFactory(pro=True).contractor
    UsageCounterFactory(contractor=owner)
    ReferralLinkFactory(contractor=owner)
    ReferralFactory(referred_contractor=owner)
    own(owner, 1)
    anna.get(page(owner))  # Django remembers content types from here on
    one = cost(owner)
    own(owner, 11)
    # What has no rows here, or none on this page of the timeline, is not read.
    assert cost(owner) <= one < 70
    assert cost(empty) <= one


def test_a_section_turns_its_own_pages_and_leaves_the_others(anna):
    contractor = ContractorFactory()
    [channel, *_] = ChannelFactory.create_batch(11, contractor=contractor)
    PublicationFactory.create_batch(25, channel=channel)
    PublicationFactory()

    address = page(contractor) + "?publications-page=3&channels-page=2"
    section = anna.get(address).context["section"]

    assert [len(section[name].result_list) for name in ("channels", "publications", "clients")] == [1, 5, 0]
    assert section["channels"].pages() == [("1", "?publications-page=3&channels-page=1#channels"), ("2", "")]
    assert section["publications"].result_count == 25


@pytest.mark.parametrize(("asked", "days"), [("", 60), ("365", 365), ("730", 730), ("9" * 30, 60), ("x\0", 60)])
def test_the_charts_span_what_is_asked_for_and_offer_the_rest(anna, asked, days):
    context = anna.get(page(ContractorFactory()), {"days": asked, "channels-page": "2"}).context
    assert days <= (context["charts"][0].days[-1] - context["charts"][0].days[0]).days + 7 <= days + 14
    others = [url for _, url in context["spans"] if url]
    assert len(others) == 2 and all("channels-page=2" in url and url.endswith("#overview") for url in others)


@pytest.mark.parametrize("number", ["0", "-1", "99", "x", "9" * 30, "2\0"])
def test_a_page_that_there_is_not_is_the_first_one(anna, number):
    contractor = ContractorFactory()
    ChannelFactory.create_batch(11, contractor=contractor)
    context = anna.get(page(contractor), {"channels-page": number, "timeline-page": number}).context
    assert len(context["section"]["channels"].result_list) == 10


def test_a_section_leads_to_the_whole_list_and_to_that_list_only(anna):
    contractor = ContractorFactory()
    clients = ClientFactory.create_batch(11, channel=ChannelFactory(contractor=contractor))
    ClientFactory()

    section = anna.get(page(contractor)).context["section"]["clients"]

    whole = anna.get(section.whole_url).context["cl"]
    assert {client.pk for client in whole.result_list} == {client.pk for client in clients}


@pytest.mark.parametrize(
    ("terms", "left", "raised"),
    [
        ({"expires_at": 12 * DAY}, "12 days left, until ", []),
        ({"expires_at": DAY / 2, "status": Status.CANCELLED}, "12 hours left, until ", ["Cancelled, still on"]),
        ({"expires_at": 2 * DAY, "status": Status.GRACE}, "2 days left, until ", ["In grace"]),
        ({"expires_at": None}, "without an end", ["Without an end"]),
        ({"expires_at": -DAY, "status": Status.EXPIRED}, "PRO ended on ", ["Expired"]),
        ({"expires_at": DAY, "status": Status.EXPIRED}, "PRO, over", ["Expired"]),
        ({"code": "FREE", "expires_at": None}, "", []),
    ],
)
def test_the_header_says_what_is_left_of_the_plan(anna, terms, left, raised):
    # Half a minute more, for the time that the page takes.
    now = timezone.now() + dt.timedelta(seconds=30)
    end = terms["expires_at"]
    dates = {"starts_at": now - 30 * DAY, "expires_at": end and now + end}
    contractor = SubscriptionFactory(**{"code": "PRO"} | terms | dates).contractor

    told = header(anna, contractor)

    assert told.what_is_left.startswith(left) if left else told.what_is_left == ""
    assert [flag.text for flag in told.flags] == raised


def test_the_header_raises_what_is_out_of_the_ordinary(anna):
    contractor = ContractorFactory(blocked=True, full_name="Anna")
    GiftFactory(contractor=contractor)
    ReferralFactory(referred_contractor=contractor, referrer__full_name="anna")
    assert flags(anna, contractor) == [
        "Blocked",
        "Gifts waiting: 1",
        "Suspicious referral: made within 10 minutes, same name",
    ]


def test_whoever_is_erased_has_a_page(anna):
    contractor = ContractorFactory(blocked=True, full_name=None, username=None, tg_user_id=None)
    assert flags(anna, contractor) == ["Blocked", "Erased"]


def test_the_channels_are_held_against_the_limit_with_its_bonus(anna):
    contractor = ContractorFactory(bonus_channels=2)
    UsageCounterFactory(contractor=contractor, channels_created_total=6)
    [channels, *_] = header(anna, contractor).limits
    assert (channels.value, channels.detail) == ("6 of 7", "1 left: 5 by the plan, 2 as a bonus")


def test_support_sees_the_page_without_a_form(anna):
    contractor = ContractorFactory()
    assert "Save names" in anna.get(page(contractor)).content.decode()
    response = browser("support", username="vera").get(page(contractor))
    assert response.status_code == 200
    assert "Save names" not in response.content.decode()


def timeline(anna, contractor, **query):
    return anna.get(page(contractor), query).context["timeline"]


def told(anna, contractor) -> list[tuple[str, str]]:
    """The oldest first."""
    return [(entry.what, entry.who) for entry in reversed(timeline(anna, contractor).entries)]


def test_the_timeline_tells_of_a_contractor_whom_the_bot_and_the_jobs_know(anna):
    contractor = Contractor.objects.get(pk=bot.meet(1))
    brought = ReferralFactory.create_batch(3, referrer=contractor, channels=2)
    advance_referrals(now=timezone.now())
    bot.pay(contractor.pk, "PRO", 30)

    # All in one transaction, which is one moment to the database.
    job = "the job advance_referrals"
    assert sorted(told(anna, contractor)) == sorted(
        [
            ("Subscription began", "the bot"),
            ("Plan activated", "the bot"),
            *((f"Brought: {referral.referred_contractor}", "the bot") for referral in brought),
            *((f"{referral.referred_contractor} qualified, counted in cycle 1", job) for referral in brought),
            ("Cycle 1 completed, reward queued: 30 days of PRO", job),
        ]
    )


def act(anna, address: str, **data) -> None:
    """As a person does: looks at what will happen, then confirms it."""
    data |= {"reason": "an outage", "step": "preview"}
    shown = anna.post(address, data)
    anna.post(address, data | {"step": "confirm", "confirmation": shown.context["confirmation"]})


def test_an_act_and_what_it_left_are_one_entry_that_says_who_why_before_and_after(anna):
    now = timezone.now()
    contractor = SubscriptionFactory(code="PRO", expires_at=now + 10 * DAY).contractor
    bot.run(
        "INSERT INTO billing.subscription_history (contractor_id, plan_id, status, source, starts_at, expires_at,"
        " created_at) SELECT contractor_id, plan_id, status, source, starts_at, expires_at, now() - interval '1 day'"
        " FROM billing.subscriptions"
    )
    act(anna, f"/admin/core/contractor/{contractor.pk}/extend/", days=7)
    act(
        anna,
        f"/admin/core/contractor/{contractor.pk}/queue_gift/",
        plan=Plan.objects.get(code="PRO").pk,
        days=5,
    )
    act(anna, f"/admin/billing/gift/{Gift.objects.get().pk}/withdraw/")

    assert told(anna, contractor) == [
        ("Subscription began", "the bot"),
        ("Extended", "anna"),
        ("Gift queued: 5 days of PRO, from staff", "anna"),
        ("Gift withdrawn: 5 days of PRO, from staff", "anna"),
    ]
    [withdrawn, queued, extended, _began] = timeline(anna, contractor).entries
    assert [entry.why for entry in (withdrawn, queued, extended)] == ["an outage"] * 3
    [change] = extended.changes
    assert change.before.startswith("PRO until ")
    assert change.after.startswith("PRO until ")
    assert change.before != change.after
    assert {entry.act for entry in (withdrawn, queued, extended)} == set(
        AdminAction.objects.filter(contractors__contains=[contractor.pk])
    )


def test_what_the_bot_wrote_a_moment_before_an_act_stays_the_bots(anna):
    contractor = Contractor.objects.get(pk=bot.meet(1))
    bot.pay(contractor.pk, "PRO", 30)
    act(anna, f"/admin/core/contractor/{contractor.pk}/cancel/")
    assert told(anna, contractor) == [
        ("Subscription began", "the bot"),
        ("Plan activated", "the bot"),
        ("Subscription cancelled", "anna"),
    ]


def test_a_channel_that_is_moved_is_told_of_on_both_pages(anna):
    giver, taker = ContractorFactory(full_name="Иван"), ContractorFactory(full_name="Пётр")
    channel = ChannelFactory(contractor=giver)

    act(anna, f"/admin/core/channel/{channel.pk}/move/", contractor=taker.pk)

    assert told(anna, taker) == [(f"Was given the channel {channel}", "anna")]
    [entry] = timeline(anna, giver).entries
    assert ("Иван", "Пётр") in [(change.before, change.after) for change in entry.changes]

    act(anna, f"/admin/core/channel/{channel.pk}/move/", contractor=ContractorFactory().pk)
    assert told(anna, taker) == [
        (f"Was given a channel: {channel}", "anna"),
        (f"Channel moved away: {channel}", "anna"),
    ]


def test_what_a_row_tells_stands_beside_the_reason_of_staff(anna):
    contractor = SubscriptionFactory().contractor
    pro = Plan.objects.get(code="PRO").pk
    act(anna, f"/admin/core/contractor/{contractor.pk}/activate/", plan=pro, days=30, payment_reference="A-1")
    [entry] = timeline(anna, contractor).entries
    assert (entry.fact, entry.why) == ("Payment A-1", "an outage")


def test_of_what_was_removed_only_that_is_told_which_it_was(anna):
    referral = ReferralFactory(referrer__full_name="Иван", referred_contractor__full_name="Пётр")
    act(anna, f"/admin/referrals/referral/{referral.pk}/detach/")
    [entry] = timeline(anna, referral.referrer).entries
    assert [(change.before, change.after) for change in entry.changes] == [("", "Иван"), ("", "Пётр")]


@pytest.mark.parametrize(
    ("before", "after", "became"),
    [
        ({"pro": True}, {"code": "FREE"}, "Back to FREE"),
        ({"code": "PRO"}, {"pro": True}, "Shortened"),
        ({"pro": True}, {"code": "PRO"}, "Extended"),
        ({"pro": True, "status": Status.TRIAL}, {"pro": True, "source": "paid"}, "Plan activated"),
        ({"code": "FREE"}, {"pro": True}, "Plan activated"),
        ({"pro": True, "status": Status.CANCELLED}, {"pro": True}, "Plan activated"),
        ({"pro": True}, {"pro": True, "days": 60}, "Extended"),
        ({"pro": True}, {"pro": True, "status": Status.EXPIRED}, "Subscription expired"),
    ],
)
def test_the_timeline_says_what_became_of_the_subscription(anna, before, after, became):
    contractor, now = ContractorFactory(), timezone.now()
    for terms, at in ((before, now - DAY), (after, now)):
        SubscriptionHistoryFactory(contractor=contractor, created_at=at, starts_at=now - 2 * DAY, **terms)
    newest, _began = timeline(anna, contractor).entries
    # Of its own accord a job ends nothing before its end.
    assert (newest.what, newest.who) == (became, "the bot")


def test_an_end_that_no_calendar_has_is_none(anna):
    subscription = SubscriptionFactory(pro=True)
    bot.run("UPDATE billing.subscriptions SET expires_at = 'infinity'")
    for address in (page(subscription.contractor), "/admin/core/contractor/", "/admin/billing/subscription/"):
        shown = anna.get(address).content.decode()
        assert "without an end" in shown and "9999" not in shown


def test_the_timeline_turns_pages_and_repeats_nothing(anna):
    contractor = ContractorFactory()
    for number in range(20):
        NoteFactory(contractor_id=contractor.pk, text=f"no {number}")

    first, second = timeline(anna, contractor), timeline(anna, contractor, **{"timeline-page": 2})

    assert (len(first.entries), len(second.entries)) == (15, 5)
    assert len({entry.what for entry in first.entries + second.entries}) == 20
    assert (first.newer_url, first.older_url) == ("", "?timeline-page=2#timeline")
    assert (second.newer_url, second.older_url) == ("?timeline-page=1#timeline", "")


def test_nobody_elses_story_is_told(anna):
    contractor = ContractorFactory()
    other = SubscriptionHistoryFactory(code="PRO").contractor
    GiftFactory(contractor=other)
    NoteFactory(contractor_id=other.pk)
    ReferralFactory(referrer=other)
    assert timeline(anna, contractor).entries == []


def test_no_index_is_walked_for_the_newest_rows_beyond_a_join(anna):
    section = anna.get(page(ContractorFactory())).context["section"]["publications"]
    whole = anna.get(section.whole_url).context["cl"]
    for rows in (section.queryset, whole.queryset):
        assert 'ORDER BY ("core"."publications"."id" + 0) DESC' in str(rows.query)
