"""The load generator must hear of its own faults: a run in which half of the staff fell silent is not green."""

from collections import Counter

import pytest

from bench.sizes import SIZES
from load import audit
from load.browser import LoggedOut
from load.day import Person, Told
from load.office import Member
from smetabot.tests import bot
from testbed.threads import Errand

pytestmark = pytest.mark.django_db


def test_whatever_a_page_lacks_is_noted_and_the_day_goes_on():
    told = Told()
    person = Person(Member(0, "load0", b"", False), 0, SIZES["xs"], told, [], [])

    def export():
        raise KeyError("X-Export-Rows")

    person.do(export)

    assert told.wrong == ["load0, export: KeyError: 'X-Export-Rows'"]


def test_who_is_logged_out_logs_in_before_anything_else():
    person = Person(Member(0, "load0", b"", False), 0, SIZES["xs"], Told(), [], [])
    person.is_in = True

    def find():
        raise LoggedOut("/admin/: has to log in again")

    person.do(find)

    assert not person.is_in


def test_what_a_thread_dies_of_is_raised_where_it_is_waited_for():
    errand = Errand(int, "none")
    errand.start()

    with pytest.raises(ValueError, match="none"):
        errand.finish()


def test_the_audit_finds_what_of_the_bots_is_lost_or_twice_there():
    before = audit.totals()
    bot.meet(1)
    bot.run("INSERT INTO analytics.events (event_type) VALUES ('sync_run')")
    bot.run("INSERT INTO analytics.events (event_type) VALUES ('sync_run')")

    found = list(audit.audit_bot(["begin"], before, audit.totals()))

    assert [str(each) for each in found] == [
        "lost: of the bot's channels: 1 told as done, 0 there",
        "doubled: of the bot's events: 1 told as done, 2 there",
    ]


def test_the_audit_finds_a_login_that_the_journal_does_not_know_of():
    assert list(audit.audit(Told(logins=Counter(load0=1)), {})) == [
        audit.Finding("lost", "logins in the journal of load0: 1 told as done, 0 there")
    ]
