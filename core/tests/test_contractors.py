"""What staff do to contractors and clients."""

import pytest
from django.core.exceptions import ValidationError

from core import clients, contractors
from core.factories import ClientFactory, ContractorFactory
from core.models import Contractor

pytestmark = pytest.mark.django_db


def erased() -> Contractor:
    return ContractorFactory(blocked=True, tg_user_id=None, username=None, full_name=None)


def test_who_is_blocked_is_unblocked_again():
    contractor = ContractorFactory()
    contractors.block(contractor=contractor.pk)
    change = contractors.unblock(contractor=contractor.pk)
    assert (change.before.status, change.after.status) == ("blocked", "active")
    assert Contractor.objects.get().status == "active"


@pytest.mark.parametrize(
    ("operation", "contractor", "refusal"),
    [
        (contractors.block, lambda: ContractorFactory(blocked=True), "is blocked already"),
        (contractors.unblock, ContractorFactory, "is not blocked"),
        (contractors.unblock, erased, "was erased"),
        (lambda **of: contractors.grant_channels(number=1, **of), erased, "was erased"),
        (lambda **of: contractors.grant_channels(number=0, **of), ContractorFactory, "Say how many"),
        (contractors.block, lambda: Contractor(pk=0), "There is no contractor 0"),
    ],
)
def test_what_makes_no_sense_for_a_contractor_is_refused(operation, contractor, refusal):
    with pytest.raises(ValidationError, match=refusal):
        operation(contractor=contractor().pk)


def test_bonus_channels_add_up_and_are_taken_back_as_far_as_there_are_any():
    contractor = ContractorFactory()
    grant = contractors.grant_channels
    assert [grant(contractor=contractor.pk, number=number).after.bonus_channels for number in (1, 2, -3)] == [1, 3, 0]
    with pytest.raises(ValidationError, match="has 0 bonus channels"):
        grant(contractor=contractor.pk, number=-1)


def test_a_client_is_blocked_once_and_unblocked_once():
    client = ClientFactory()
    assert clients.block(client=client.pk).after.blocked
    with pytest.raises(ValidationError, match="is blocked already"):
        clients.block(client=client.pk)
    assert not clients.unblock(client=client.pk).after.blocked
    with pytest.raises(ValidationError, match="is not blocked"):
        clients.unblock(client=client.pk)
