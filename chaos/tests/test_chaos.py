"""A sample of `make chaos`, in a small world."""

import pytest
from django.conf import settings
from django.core.management import call_command, get_commands, load_command_class
from django.db import connection

from adminlog.jobs import JobCommand
from chaos import faults
from chaos.away import away
from chaos.databases import plain
from chaos.faults import Points
from chaos.run import Chaos
from chaos.server import Server
from chaos.snapshot import read
from chaos.subjects import ACTS, jobs_of, offered
from chaos.tests.processors import CONTROLS, product
from chaos.world import fill
from smetabot.postgres.embedded import DATABASE, PORT, USER

# Not cron's: the one is struck as well, the other only reads.
OPERATORS = {"import_views", "backup"}
OURS = ["core", "billing", "analytics", "referrals", "adminlog", "smetabot"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def chaos(django_db_setup, django_db_blocker, tmp_path_factory):
    with django_db_blocker.unblock():
        settings.EVENTS_ARCHIVE, archive = tmp_path_factory.mktemp("archive"), settings.EVENTS_ARCHIVE
        made = Chaos(seed=1, contractors=30, folder=tmp_path_factory.mktemp("chaos"))
        yield made
        made.worlds.remove()
        settings.EVENTS_ARCHIVE = archive


def named(chaos, name):
    return next(subject for subject in [*chaos.jobs, *chaos.acts] if subject.name == name)


def assert_unharmed(chaos, least):
    assert chaos.tally.injected >= least
    assert not chaos.tally.harm


def test_no_cron_command_is_left_out(settings):
    settings.CRONJOBS = [*settings.CRONJOBS, ("17 * * * *", "…call_command", ["collect_views"])]
    ours = {
        name
        for name, app in get_commands().items()
        if app in OURS and isinstance(load_command_class(app, name), JobCommand)
    }
    assert {job.name for job in jobs_of(settings.CRONJOBS)} == ours - OPERATORS


def test_no_act_is_left_out():
    assert {key for key, _page, _operation in offered()} == ACTS.keys()


def test_an_exception_after_any_statement_of_apply_gifts_loses_and_doubles_nothing(chaos):
    job = named(chaos, "apply_gifts")
    length = chaos.measure(job)
    chaos.every_point(job)
    assert_unharmed(chaos, length.statements)


@pytest.mark.parametrize("name", ["contractor extend"])
def test_whatever_the_server_does_in_the_middle_loses_and_doubles_nothing(chaos, name):
    subject = named(chaos, name)
    length = chaos.measure(subject)
    for fault, strike in faults.HERE.items():
        chaos.struck(subject, fault, chaos.drawn(subject, strike))
    chaos.struck(subject, "after the commit", Points(at_commit=length.commits, late=True))
    assert_unharmed(chaos, len(faults.HERE))


@pytest.mark.parametrize("process, moment, harm", CONTROLS)
def test_the_audit_catches_a_processor_that(chaos, process, moment, harm):
    assert not chaos.control(product, moment)
    assert any(harm in str(finding) for finding in chaos.control(process, moment))


WAITING = "applied_at IS NULL AND withdrawn_at IS NULL"
HARM = {
    "waiting gifts deleted": f"DELETE FROM billing.gifts_queue WHERE {WAITING}",
    "withdrawn by nobody": f"UPDATE billing.gifts_queue SET withdrawn_at = now() WHERE {WAITING}",
    "fewer days": f"UPDATE billing.gifts_queue SET days = 1 WHERE {WAITING}",
    "another plan": "UPDATE billing.gifts_queue SET plan_id = (SELECT id FROM billing.plans WHERE code = 'FREE')"
    f" WHERE {WAITING}",
    "of another contractor": "UPDATE billing.gifts_queue SET contractor_id = (SELECT max(id) FROM core.contractors)"
    f" WHERE {WAITING}",
    "a subscription deleted": "DELETE FROM billing.subscriptions WHERE contractor_id = (SELECT min(contractor_id)"
    " FROM billing.subscriptions)",
    "a referral deleted": "DELETE FROM referrals.referrals WHERE id = (SELECT min(id) FROM referrals.referrals)",
    "qualified without channels": "UPDATE referrals.referrals SET qualified_at = now()",
    "clients blocked": "UPDATE core.clients SET blocked = NOT blocked",
    "invites used longer": "UPDATE core.invites SET max_uses = max_uses + 1",
    "nobody blocked": "UPDATE core.contractors SET status = 'active'",
    "channels of another": "UPDATE core.channels SET contractor_id = (SELECT min(id) FROM core.contractors)",
    "an act of which nothing came": "INSERT INTO admin.admin_actions (admin_id, action, target_type, target_id,"
    " payload) SELECT 1, 'client.blocked', 'core.client', id, '{\"after\": {\"blocked\": true}}'"
    " FROM core.clients WHERE NOT blocked LIMIT 1",
}


@pytest.mark.parametrize("sql", HARM.values(), ids=HARM)
def test_the_audit_finds(chaos, sql):
    """In a transaction that is taken back: a world for each would take longer."""
    with plain(chaos.worlds.template) as desk, desk.transaction(force_rollback=True):
        assert desk.execute(sql).rowcount
        assert chaos.auditor.audit(read(desk), settled=False)


@pytest.fixture
def server(monkeypatch):
    """One of its own, which may be stopped."""
    with Server() as server:
        at = {"HOST": str(server.cluster.socket_dir), "PORT": PORT, "USER": USER, "PASSWORD": "", "NAME": DATABASE}
        connection.close()
        for name, value in at.items():
            monkeypatch.setitem(connection.settings_dict, name, value)
        call_command("migrate", verbosity=0)
        fill(seed=1, contractors=8)
        yield server
        connection.close()


def test_while_the_database_is_away_the_web_and_cron_say_so_and_come_back(server):
    assert away(server, seconds=2).problems == []
