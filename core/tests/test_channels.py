"""Staff move channels."""

import datetime as dt

import pytest
from django.core.exceptions import ValidationError

from core.channels import move
from core.factories import ChannelFactory, ContractorFactory
from core.models import Channel

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 3, 31, 9, tzinfo=dt.UTC)


def test_a_moved_channel_is_the_others_and_says_since_when():
    channel, partner = ChannelFactory(), ContractorFactory()
    change = move(channel=channel.pk, to=partner.pk, now=NOW)
    assert (change.before.contractor, change.after.contractor) == (channel.contractor, partner)
    moved = Channel.objects.get()
    assert (moved.contractor, moved.moved_at) == (partner, NOW)


@pytest.mark.parametrize(
    ("to", "refusal"),
    [
        (lambda channel: channel.contractor_id, "already"),
        (lambda channel: ContractorFactory(blocked=True).pk, "is blocked"),
        (lambda channel: ContractorFactory(blocked=True, tg_user_id=None, username=None, full_name=None).pk, "erased"),
        (lambda channel: 0, "There is no contractor 0"),
    ],
)
def test_a_channel_moves_only_to_another_who_may_have_it(to, refusal):
    channel = ChannelFactory()
    with pytest.raises(ValidationError, match=refusal):
        move(channel=channel.pk, to=to(channel), now=NOW)


@pytest.mark.django_db(transaction=True)
def test_of_two_moves_at_once_the_second_is_told_to_look_again(while_held):
    channel, one, other = ChannelFactory(), ContractorFactory(), ContractorFactory()
    _, refusal = while_held(
        lambda: move(channel=channel.pk, to=one.pk, now=NOW), lambda: move(channel=channel.pk, to=other.pk, now=NOW)
    )
    assert refusal.code == "busy"
    assert Channel.objects.get().contractor == one


@pytest.mark.django_db(transaction=True)
def test_two_who_give_each_other_a_channel_do_not_wait_for_each_other_for_ever(while_held):
    mine, yours = ChannelFactory(), ChannelFactory()
    while_held(
        lambda: move(channel=mine.pk, to=yours.contractor_id, now=NOW),
        lambda: move(channel=yours.pk, to=mine.contractor_id, now=NOW),
    )
    owners = dict(Channel.objects.values_list("pk", "contractor"))
    assert owners == {mine.pk: yours.contractor_id, yours.pk: mine.contractor_id}
