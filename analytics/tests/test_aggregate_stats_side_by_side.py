import json

import pytest

from analytics.models import ChannelStats
from core.factories import PublicationFactory

pytestmark = pytest.mark.django_db(transaction=True)


def test_runs_at_once_write_each_row_once_and_agree(manage):
    PublicationFactory.create_batch(200, views=3)
    runs = [manage("aggregate_stats", "--json") for _ in range(4)]
    results = []
    for run in runs:
        out, err = run.communicate(timeout=60)
        assert (run.returncode, err) == (0, "")
        results.append(json.loads(out))
    assert sum(result["snapshots"] for result in results) == 200
    assert sum(result["channels"] for result in results) == 200
    assert ChannelStats.objects.filter(files_count=1, views_total=3).count() == 200


@pytest.mark.parametrize("views", [3, 0], ids=["at its publications", "at the channel"])
def test_a_channel_that_the_bot_deletes_meanwhile_fails_nothing(manage, colleague, wait_for_lock, views):
    """The run sees it, waits for the deletion and finds it gone."""
    gone, kept = (publication.channel for publication in PublicationFactory.create_batch(2, views=views))
    with colleague.cursor() as cursor:
        cursor.execute("DELETE FROM core.channels WHERE id = %s", [gone.pk])
    run = manage("aggregate_stats", "--json")
    wait_for_lock()
    colleague.commit()
    out, err = run.communicate(timeout=60)
    assert (run.returncode, err) == (0, "")
    assert list(ChannelStats.objects.values_list("channel", flat=True)) == [kept.pk]


def test_a_second_run_counts_after_the_first_one_has_written(manage, colleague, wait_for_lock):
    publication = PublicationFactory(views=3)
    with colleague.cursor() as cursor:
        # What a first run holds until its commit.
        cursor.execute("SELECT pg_advisory_xact_lock('analytics.channel_stats'::regclass::oid::bigint)")
    run = manage("aggregate_stats", "--json", "--now", "2026-01-31T09:00:00Z")
    wait_for_lock()
    with colleague.cursor() as cursor:
        cursor.execute("INSERT INTO analytics.views_daily VALUES (%s, '2026-02-01', 3)", [publication.pk])
    colleague.commit()
    out, err = run.communicate(timeout=60)
    assert json.loads(out)["snapshots"] == 0
