import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from adminlog.columns import page_of
from adminlog.factories import AdminActionFactory
from adminlog.models import AdminAction, AdminUser
from core.factories import (
    ChannelFactory,
    ClientFactory,
    ContractorFactory,
    InviteFactory,
    PublicationFactory,
    TeamMemberFactory,
)
from core.models import Channel, Client, Contractor, Invite, Publication, TeamMember
from smetabot.tests import bot

pytestmark = pytest.mark.django_db


def found(anna: Browser, model: str, term: str) -> set[int]:
    page = anna.get(reverse(f"admin:core_{model}_changelist"), {"q": term}).context["cl"]
    return {row.pk for row in page.result_list}


def test_a_channel_is_found_by_title_username_chat_id_contractor_and_token(anna):
    ivan = ContractorFactory(username="ivan", full_name="Иван Петров")
    channel = ChannelFactory(title="Дом у реки", username="dom_u_reki", contractor=ivan)
    InviteFactory(channel=channel, token="Xk9_aa")
    InviteFactory(channel=channel)
    InviteFactory(channel__contractor__full_name="Анна")

    for term in ("у реки", "@dom_u_reki", str(channel.tg_chat_id), "@ivan", str(ivan.tg_user_id), "петров", "Xk9_aa"):
        assert found(anna, "channel", term) == {channel.pk}, term
    assert found(anna, "channel", "Xk9") == set()


def test_an_invite_is_found_by_token_channel_and_contractor(anna):
    ivan = ContractorFactory(username="ivan", full_name="Иван Петров")
    invite = InviteFactory(token="Xk9_aa", channel__title="Дом у реки", channel__contractor=ivan)
    InviteFactory(channel__contractor__full_name="Анна")

    for term in ("Xk9_aa", "дом", str(invite.channel.tg_chat_id), str(ivan.tg_user_id), "@ivan", "петров"):
        assert found(anna, "invite", term) == {invite.pk}, term


def test_a_client_is_found_by_name_username_telegram_id_and_channel(anna):
    client = ClientFactory(full_name="Пётр Ильин", username="petr", channel__title="Дом у реки")
    ClientFactory(full_name="Анна Ильина", username="a")

    for term in ("Пётр Ильин", "@petr", str(client.tg_user_id), "у реки", str(client.channel.tg_chat_id)):
        assert found(anna, "client", term) == {client.pk}, term


def test_a_publication_is_found_by_file_name_and_channel(anna):
    publication = PublicationFactory(file_name="Смета_кухня.xlsx", channel__title="Дом у реки")
    PublicationFactory(file_name="План.pdf")

    for term in ("кухня", "у реки", str(publication.channel.tg_chat_id)):
        assert found(anna, "publication", term) == {publication.pk}, term


def test_an_invite_says_how_it_stands_and_who_came_by_it(anna):
    yesterday = timezone.now() - dt.timedelta(days=1)
    expected = {
        "Active": (InviteFactory(max_uses=5, used_count=3), "3 of 5, 2 left"),
        "Expired": (InviteFactory(expires_at=yesterday, used_count=3), "3, no limit"),
        "Used up or switched off": (InviteFactory(max_uses=2, used_count=2), "2 of 2, 0 left"),
    }
    # One who came twice is one client, and looks as an invite does that the bot switched off.
    client = ClientFactory(invite=expected["Used up or switched off"][0])

    rows = {row.pk: row for row in anna.get(reverse("admin:core_invite_changelist")).context["cl"].result_list}
    pages = admin.site.get_model_admin(Invite)

    for state, (invite, uses) in expected.items():
        assert state in pages.state(rows[invite.pk])
        assert pages.uses(rows[invite.pk]) == uses
    section = anna.get(page_of(client.invite)).context["sections"][0]
    assert [row.pk for row in section.result_list] == [client.pk]


def test_a_list_opened_for_a_parent_says_so(anna):
    channel = ChannelFactory(contractor__full_name="Иван Петров")
    ChannelFactory()

    page = anna.get(reverse("admin:core_channel_changelist"), {"contractor__id__exact": channel.contractor_id})

    assert [row.pk for row in page.context["cl"].result_list] == [channel.pk]
    assert page.context["cl"].has_active_filters
    assert "By contractor" in page.content.decode()


@pytest.mark.parametrize(
    ("row", "name"),
    [
        (Contractor(pk=7, full_name="  ", username="ivan"), "@ivan"),
        (Contractor(pk=7, full_name="  ", username=" "), "Contractor 7"),
        (Channel(tg_chat_id=-100, title="\n"), "-100"),
        (Client(pk=7, full_name=" ", username=""), "Client 7"),
        (Publication(message_id=7, file_name=" "), "Message 7"),
        (Contractor(full_name="Иван " * 1000), "Иван " * 11 + "Иван…"),
    ],
)
def test_a_name_is_never_blank_nor_longer_than_a_line(row, name):
    assert str(row) == name


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


def test_removing_several_journals_each_under_one_head(anna):
    members = TeamMemberFactory.create_batch(3)

    anna.post(
        reverse("admin:core_teammember_changelist"),
        {"action": "delete_selected", "_selected_action": [member.pk for member in members], "post": "yes"},
    )

    assert not TeamMember.objects.exists()
    head, *acts = AdminAction.objects.order_by("seq")
    assert (head.action, head.target_id, head.payload) == ("team_member.deleted", None, {"rows": 3})
    assert {(act.action, act.part_of, act.target_id) for act in acts} == {
        ("team_member.deleted", head, member.pk) for member in members
    }


@pytest.mark.django_db(transaction=True)
def test_exactly_those_are_removed_that_the_journal_names(anna, colleague, wait_for_lock):
    owner = ContractorFactory()
    members = TeamMemberFactory.create_batch(2, owner_contractor=owner)
    late = ContractorFactory()
    admin_id = AdminUser.objects.get(username="anna").pk
    with colleague.cursor() as cursor:
        cursor.execute("INSERT INTO admin.admin_actions (admin_id, action) VALUES (%s, 'x')", [admin_id])

    def remove():
        chosen = {"action": "delete_selected", "_selected_action": members[0].pk, "select_across": "1", "post": "yes"}
        try:
            address = reverse("admin:core_teammember_changelist")
            return anna.post(f"{address}?owner_contractor__id__exact={owner.pk}", chosen)
        finally:
            connection.close()

    with ThreadPoolExecutor() as threads:
        removed = threads.submit(remove)
        wait_for_lock()
        bot.run(
            "INSERT INTO core.team_members (owner_contractor_id, member_contractor_id) VALUES (%s, %s)",
            owner.pk,
            late.pk,
        )
        colleague.commit()
    assert removed.result().status_code == 302
    assert TeamMember.objects.get().member_contractor == late
    told = AdminAction.objects.filter(part_of__isnull=False).values_list("target_id", flat=True)
    assert set(told) == {member.pk for member in members}


def test_what_is_gone_already_is_removed_by_nobody(db):
    with pytest.raises(ValidationError, match="Somebody else has deleted this"):
        admin.site.get_model_admin(TeamMember).delete_rows([1])


@pytest.mark.django_db(transaction=True)
def test_who_joins_a_team_is_held_before_the_journal(anna, colleague, wait_for_lock):
    owner, member = ContractorFactory(), ContractorFactory()
    with colleague.cursor() as cursor:
        cursor.execute("SELECT FROM core.contractors WHERE id = %s FOR UPDATE", [member.pk])

    def join():
        try:
            people = {"owner_contractor": owner.pk, "member_contractor": member.pk}
            return anna.post(reverse("admin:core_teammember_add"), people)
        finally:
            connection.close()

    with ThreadPoolExecutor() as threads:
        joined = threads.submit(join)
        wait_for_lock()
        AdminActionFactory()  # nobody waits for whoever waits for the bot
        colleague.rollback()
    assert joined.result().status_code == 302
    assert TeamMember.objects.exists()


def test_values_posted_without_what_was_shown_are_compared_with_the_row(anna):
    ivan = ContractorFactory(username="ivan", full_name="Иван")

    anna.post(reverse("admin:core_contractor_change", args=[ivan.pk]), {"username": "ivan", "full_name": "Иван Петров"})

    assert AdminAction.objects.get().details.personal == {
        "before": {"full_name": "Иван"},
        "after": {"full_name": "Иван Петров"},
    }
