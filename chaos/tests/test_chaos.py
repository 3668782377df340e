"""A sample of `make chaos`, in a small world."""

import pytest
from django.conf import settings
from django.core.management import call_command, get_commands, load_command_class
from django.db import connection

from adminlog.jobs import JobCommand
from chaos import faults
from chaos.away import away
from chaos.faults import Points
from chaos.run import Chaos
from chaos.server import Server
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


@pytest.mark.parametrize("name", ["advance_referrals", "contractor extend"])
def test_whatever_the_server_does_in_the_middle_loses_and_doubles_nothing(chaos, name):
    subject = named(chaos, name)
    length = chaos.measure(subject)
    for fault, strike in faults.HERE.items():
        chaos.struck(subject, fault, chaos.drawn(subject, strike))
    chaos.struck(subject, "after the commit", Points(at_commit=length.commits, late=True))
    assert_unharmed(chaos, len(faults.HERE))


@pytest.mark.parametrize("process, moment", CONTROLS)
def test_the_audit_catches_a_processor_that(chaos, process, moment):
    assert not chaos.control(product, moment)
    assert chaos.control(process, moment)


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
