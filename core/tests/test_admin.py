import pytest
from django.test import Client as Browser
from django.urls import reverse

from adminlog.models import AdminAction
from adminlog.tests.staff import browser
from core.factories import (
    ChannelFactory,
    ClientFactory,
    ContractorFactory,
    InviteFactory,
    PublicationFactory,
    TeamMemberFactory,
)
from core.models import Invite, TeamMember

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna() -> Browser:
    return browser()


def found(anna: Browser, model: str, term: str) -> set[int]:
    page = anna.get(reverse(f"admin:core_{model}_changelist"), {"q": term}).context["cl"]
    return {row.pk for row in page.result_list}


def test_a_channel_is_found_by_title_username_chat_id_and_contractor(anna):
    channel = ChannelFactory(title="Дом у реки", username="dom_u_reki", contractor__username="ivan")
    ChannelFactory()

    for term in ("у реки", "@dom_u_reki", str(channel.tg_chat_id), "@ivan", str(channel.contractor.tg_user_id)):
        assert found(anna, "channel", term) == {channel.pk}, term


def test_an_invite_is_found_by_token_and_channel(anna):
    invite = InviteFactory(token="Xk9_aa", channel__title="Дом у реки")
    InviteFactory()

    for term in ("Xk9_aa", "дом", str(invite.channel.tg_chat_id)):
        assert found(anna, "invite", term) == {invite.pk}, term


def test_a_client_is_found_by_name_username_and_telegram_id(anna):
    client = ClientFactory(full_name="Пётр Ильин", username="petr")
    ClientFactory(full_name="Анна Ильина", username="a")

    for term in ("Пётр Ильин", "@petr", str(client.tg_user_id)):
        assert found(anna, "client", term) == {client.pk}, term


def test_a_publication_is_found_by_file_name_and_channel(anna):
    publication = PublicationFactory(file_name="Смета_кухня.xlsx", channel__title="Дом у реки")
    PublicationFactory(file_name="План.pdf")

    for term in ("кухня", "у реки", str(publication.channel.tg_chat_id)):
        assert found(anna, "publication", term) == {publication.pk}, term


def test_a_list_opened_for_a_parent_says_so(anna):
    channel = ChannelFactory(contractor__full_name="Иван Петров")
    ChannelFactory()

    page = anna.get(reverse("admin:core_channel_changelist"), {"contractor__id__exact": channel.contractor_id})

    assert [row.pk for row in page.context["cl"].result_list] == [channel.pk]
    assert page.context["cl"].has_active_filters
    assert "By contractor" in page.content.decode()


def test_mending_an_invite_leaves_what_the_bot_counts(anna):
    invite = InviteFactory(max_uses=5, used_count=3)

    anna.post(
        reverse("admin:core_invite_change", args=[invite.pk]),
        {"max_uses": 10, "editable": "on", "expires_at_0": "", "expires_at_1": "", "used_count": 0, "token": "stolen"},
    )

    saved = Invite.objects.get(pk=invite.pk)
    assert (saved.max_uses, saved.used_count, saved.token) == (10, 3, invite.token)
    action = AdminAction.objects.get()
    assert action.action == "invite.changed"
    assert action.payload == {"before": {"max_uses": 5}, "after": {"max_uses": 10}}


def test_what_a_check_forbids_is_an_error_in_the_form(anna):
    invite = InviteFactory(max_uses=5)
    response = anna.post(reverse("admin:core_invite_change", args=[invite.pk]), {"max_uses": 0, "editable": "on"})
    assert response.status_code == 200
    assert response.context["errors"]


def test_adding_to_a_team_is_journaled(anna):
    owner, member = ContractorFactory(), ContractorFactory()

    anna.post(
        reverse("admin:core_teammember_add"),
        {"owner_contractor": owner.pk, "member_contractor": member.pk},
        follow=True,
    )

    joined = TeamMember.objects.get()
    assert (joined.owner_contractor, joined.member_contractor) == (owner, member)
    action = AdminAction.objects.get()
    assert (action.action, action.target_id) == ("team_member.added", joined.pk)
    assert action.payload["after"]["owner_contractor_id"] == owner.pk


def test_nobody_is_in_their_own_team(anna):
    owner = ContractorFactory()
    response = anna.post(
        reverse("admin:core_teammember_add"), {"owner_contractor": owner.pk, "member_contractor": owner.pk}
    )
    assert "A contractor cannot be a member of their own team." in response.content.decode()


def test_a_removal_is_journaled_with_what_is_gone(anna):
    member = TeamMemberFactory()

    anna.post(reverse("admin:core_teammember_delete", args=[member.pk]), {"post": "yes"})

    assert not TeamMember.objects.exists()
    action = AdminAction.objects.get()
    assert (action.action, action.target_id) == ("team_member.deleted", member.pk)
    assert action.payload["before"]["member_contractor_id"] == member.member_contractor_id


def test_removing_several_journals_each(anna):
    members = TeamMemberFactory.create_batch(3)

    anna.post(
        reverse("admin:core_teammember_changelist"),
        {"action": "delete_selected", "_selected_action": [member.pk for member in members], "post": "yes"},
    )

    assert not TeamMember.objects.exists()
    assert {action.target_id for action in AdminAction.objects.all()} == {member.pk for member in members}
