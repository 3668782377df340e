"""The pages on which staff do it, with what the journal tells."""

import datetime as dt

import pytest
from django.urls import reverse
from django.utils import timezone

from adminlog.models import AdminAction
from adminlog.tests.form import do, do_in_bulk, look_ahead, shown
from core.factories import ChannelFactory, ClientFactory, ContractorFactory, InviteFactory
from core.models import Channel, Client, Contractor, Invite

pytestmark = pytest.mark.django_db


def page(row, name):
    return reverse(f"admin:core_{row._meta.model_name}_{name}", args=[row.pk])


def told():
    act = AdminAction.objects.get()
    return act.action, act.target_id, act.contractors, act.payload


@pytest.mark.parametrize(
    ("name", "status", "column", "before", "after"),
    [
        ("block", "active", "status", "active", "blocked"),
        ("unblock", "blocked", "status", "blocked", "active"),
        ("grant_channels", "active", "bonus_channels", None, 1),
    ],
)
def test_what_is_done_to_a_contractor_is_journaled(anna, name, status, column, before, after):
    contractor = ContractorFactory(status=status)
    assert do(anna, page(contractor, name)).status_code == 302
    assert getattr(Contractor.objects.get(), column) == after
    action = {"block": "blocked", "unblock": "unblocked", "grant_channels": "channels_granted"}[name]
    changed = {"before": {column: before}, "after": {column: after}}
    assert told() == (f"contractor.{action}", contractor.pk, [contractor.pk], changed)
    assert AdminAction.objects.get().details.personal == {"reason": "asked for it"}


def test_several_are_given_channels_and_who_has_none_is_skipped(anna):
    rich, poor = ContractorFactory(bonus_channels=3), ContractorFactory()
    chosen = reverse("admin:core_contractor_changelist")
    response = do_in_bulk(anna, chosen, [rich, poor], "grant_channels", number=-2)
    assert "bonus channels 3 → 1." in response.content.decode()
    assert "has 0 bonus channels. No more can be taken back." in response.content.decode()
    assert dict(Contractor.objects.values_list("pk", "bonus_channels")) == {rich.pk: 1, poor.pk: None}


def test_channels_are_moved_together_and_told_to_both(anna):
    owner, partner = ContractorFactory(), ContractorFactory()
    channels = ChannelFactory.create_batch(2, contractor=owner)
    do_in_bulk(anna, reverse("admin:core_channel_changelist"), channels, "move", contractor=partner.pk)
    assert set(Channel.objects.values_list("contractor", flat=True)) == {partner.pk}
    assert not Channel.objects.filter(moved_at=None).exists()
    acts = AdminAction.objects.filter(action="channel.moved", part_of__isnull=False)
    assert {(act.target_id, *act.contractors) for act in acts} == {(row.pk, owner.pk, partner.pk) for row in channels}


def test_a_move_that_a_colleague_made_first_is_not_made_again(anna):
    channel, one, other = ChannelFactory(), ContractorFactory(), ContractorFactory()
    form = look_ahead(anna, page(channel, "move"), contractor=other.pk)
    do(anna, page(channel, "move"), contractor=one.pk)
    answer = anna.post(page(channel, "move"), form | {"reason": "partner", "step": "confirm"})
    assert "Somebody was faster" in answer.content.decode()
    assert Channel.objects.get().contractor == one


def test_an_invite_is_switched_off(anna):
    invite = InviteFactory(max_uses=5, used_count=3)
    do(anna, page(invite, "switch_off"))
    held = Invite.objects.get()
    assert held.expires_at <= timezone.now()
    action, target, contractors, payload = told()
    assert (action, target, contractors) == ("invite.switched_off", invite.pk, [invite.channel.contractor_id])
    assert (payload["before"], set(payload["after"])) == ({"expires_at": None}, {"expires_at"})
    assert held.used_count == 3


@pytest.mark.parametrize("ended", [True, False])
def test_prolonging_proposes_what_lets_the_next_client_in(anna, ended):
    now = timezone.now()
    end = now - dt.timedelta(days=3) if ended else now + dt.timedelta(days=3)
    invite = InviteFactory(max_uses=5, used_count=7, expires_at=end)
    do(anna, page(invite, "prolong"))
    held = Invite.objects.get()
    assert (held.max_uses, held.used_count) == (8, 7)
    assert dt.timedelta() <= held.expires_at - (now + dt.timedelta(days=7) if ended else end) < dt.timedelta(minutes=2)
    assert told()[0] == "invite.prolonged"


def test_the_page_says_why_prolonging_would_not_help(anna):
    invite = InviteFactory(max_uses=5, used_count=7)
    form = shown(anna.get(page(invite, "prolong")))
    answer = anna.post(page(invite, "prolong"), form | {"max_uses": 7, "step": "preview"})
    assert "7 uses are counted, so allow more than that" in answer.content.decode()


def test_a_client_is_blocked_and_unblocked(anna):
    client = ClientFactory()
    for name, blocked in (("block", True), ("unblock", False)):
        do(anna, page(client, name))
        assert Client.objects.get().blocked is blocked
    acts = AdminAction.objects.order_by("seq").values_list("action", "target_id", "contractors")
    owner = [client.channel.contractor_id]
    assert list(acts) == [("client.blocked", client.pk, owner), ("client.unblocked", client.pk, owner)]
