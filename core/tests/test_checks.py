import pytest

from adminlog.checks import Finding
from core.checks import CHECKS
from core.factories import ClientFactory, InviteFactory
from core.models import Client, Invite

pytestmark = pytest.mark.django_db


def findings():
    return [finding for check in CHECKS for finding in check.find()]


def used(*, times, clients):
    invite = InviteFactory(used_count=times)
    ClientFactory.create_batch(clients, channel=invite.channel, invite=invite)
    return invite


def test_an_invite_is_used_as_often_as_clients_came_by_it():
    used(times=2, clients=2)
    assert findings() == []


def test_an_invite_used_less_often_is_named_with_the_clients_who_came():
    used(times=3, clients=3)
    invite = used(times=1, clients=3)
    assert findings() == [Finding("invite_uses", "core.invites", invite.pk, 3, 1)]


def test_an_invite_switched_off_is_above_its_clients():
    used(times=5, clients=2)
    assert findings() == []


def test_a_client_who_came_by_no_invite_counts_for_none():
    invite = used(times=0, clients=0)
    ClientFactory(channel=invite.channel)
    assert findings() == []


def test_a_client_who_is_gone_no_longer_counts():
    invite = used(times=1, clients=2)
    Client.objects.filter(invite=invite).first().delete()
    assert findings() == []


def test_a_client_whose_invite_is_gone_counts_for_none():
    Invite.objects.filter(pk=used(times=1, clients=2).pk).delete()
    assert Client.objects.count() == 2
    assert findings() == []


def test_findings_come_by_id_wherever_their_rows_lie():
    invites = [used(times=0, clients=1) for _ in range(12)]
    Invite.objects.filter(pk=invites[0].pk).update(token="rewritten, hence behind the others")
    assert [finding.id for finding in findings()] == [invite.pk for invite in invites]
