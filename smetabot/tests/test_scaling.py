import subprocess

import pytest
from django.db import connection

from cluster.audit import lost
from cluster.bot import Ledger
from cluster.distribution import DOCUMENT, text
from cluster.processes import Folder
from cluster.watch import Watched


def test_what_citus_would_ask_of_the_schema_is_written_down_as_it_is(db):
    with connection.cursor() as cursor:
        assert text(cursor) in DOCUMENT.read_text(), "write it anew: python -m cluster.distribution"


def test_what_somebody_dies_of_after_the_last_round_is_heard_of():
    class Broken(Watched):
        def turn(self):
            raise LookupError("gone")

    broken = Broken("bot")
    broken.start()

    with pytest.raises(LookupError, match="gone"):
        broken.join()


def test_a_loss_is_charged_to_the_round_that_saw_it_first(db, tmp_path):
    ledger = Ledger(tmp_path / "acknowledged")
    ledger.note("contractor", 1)

    with connection.cursor() as cursor:
        asked = [lost(cursor.cursor, ledger) for _ in range(2)]

    ledger.file.close()
    assert asked == [{"contractor": 1}, {}]


def test_a_process_that_has_the_number_of_a_dead_server_is_left_alone(tmp_path):
    data = tmp_path / "one" / "data"
    data.mkdir(parents=True)

    with subprocess.Popen(["sleep", "60"], cwd="/") as other:
        try:
            (data / "postmaster.pid").write_text(f"{other.pid}\n")
            Folder(tmp_path).end_all()
            assert other.poll() is None
        finally:
            other.kill()
