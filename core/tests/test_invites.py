"""Staff switch invites off and prolong them, while the bot counts their uses."""

import datetime as dt

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from core.factories import InviteFactory
from core.invites import prolong, switch_off
from core.models import Invite
from smetabot.tests import bot

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 3, 31, 9, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def is_active() -> bool:
    return Invite.objects.active(at=NOW).exists()


def test_an_invite_that_is_switched_off_lets_nobody_in_and_keeps_its_uses():
    invite = InviteFactory(max_uses=5, used_count=3)
    switch_off(invite=invite.pk, now=NOW)
    assert not is_active()
    held = Invite.objects.get()
    assert (held.expires_at, held.max_uses, held.used_count) == (NOW, 5, 3)


@pytest.mark.parametrize("terms", [{"expires_at": NOW - DAY}, {"max_uses": 5, "used_count": 5}])
def test_what_lets_nobody_in_is_not_switched_off(terms):
    with pytest.raises(ValidationError, match="It is not active"):
        switch_off(invite=InviteFactory(**terms).pk, now=NOW)


@pytest.mark.parametrize(
    ("terms", "longer"),
    [
        ({"expires_at": NOW - DAY}, {"expires_at": NOW + DAY, "max_uses": None}),
        ({"expires_at": NOW - DAY}, {"expires_at": None, "max_uses": None}),
        ({"max_uses": 5, "used_count": 5}, {"expires_at": None, "max_uses": 6}),
        ({"max_uses": 5, "used_count": 5}, {"expires_at": None, "max_uses": None}),
        ({"max_uses": 5, "used_count": 5, "expires_at": NOW}, {"expires_at": NOW + DAY, "max_uses": 6}),
        ({"max_uses": 5, "used_count": 1, "expires_at": NOW + DAY}, {"expires_at": NOW + DAY, "max_uses": 6}),
    ],
)
def test_a_prolonged_invite_lets_somebody_in_and_keeps_its_uses(terms, longer):
    invite = InviteFactory(**terms)
    prolong(invite=invite.pk, now=NOW, **longer)
    assert is_active()
    assert Invite.objects.get().used_count == invite.used_count


@pytest.mark.parametrize(
    ("terms", "wanted", "refusal"),
    [
        ({"max_uses": 5, "used_count": 5, "expires_at": NOW}, {"expires_at": NOW + DAY, "max_uses": 5}, "allow more"),
        ({"max_uses": 5, "used_count": 5, "expires_at": NOW}, {"expires_at": NOW, "max_uses": 6}, "end has passed"),
        (
            {"expires_at": NOW + DAY},
            {"expires_at": NOW, "max_uses": None},
            "more than that now: until 1",
        ),
        ({"max_uses": 5}, {"expires_at": None, "max_uses": 4}, "without an end, used 0 of 5 times"),
        ({}, {"expires_at": NOW + DAY, "max_uses": None}, "more than that now: without an end"),
        ({"max_uses": 5}, {"expires_at": None, "max_uses": 5}, "exactly that already"),
    ],
)
def test_an_invite_is_not_prolonged_to_less_nor_to_what_lets_nobody_in(terms, wanted, refusal):
    with pytest.raises(ValidationError, match=refusal):
        prolong(invite=InviteFactory(**terms).pk, now=NOW, **wanted)


def test_an_invite_till_the_end_of_time_is_prolonged():
    invite = InviteFactory(max_uses=5, used_count=5)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE core.invites SET expires_at = 'infinity'")
    prolong(invite=invite.pk, expires_at=None, max_uses=6, now=NOW)
    assert is_active()


@pytest.mark.django_db(transaction=True)
def test_the_use_that_was_under_way_counts_before_an_invite_is_prolonged(while_held):
    invite = InviteFactory(max_uses=2, used_count=1)
    _, refusal = while_held(
        lambda: bot.let_in(invite.channel_id, invite.pk, 7) and bot.let_in(invite.channel_id, invite.pk, 8),
        lambda: prolong(invite=invite.pk, expires_at=None, max_uses=3, now=NOW),
    )
    assert "3 uses are counted" in refusal.messages[0]
    held = Invite.objects.get()
    assert (held.max_uses, held.used_count) == (2, 3)
