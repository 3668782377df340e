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


def test_a_channel_that_the_bot_deletes_meanwhile_fails_nothing(manage, colleague, wait_for_lock):
    """The run sees the channel, then waits for the deletion and finds it gone."""
    gone, kept = (publication.channel for publication in PublicationFactory.create_batch(2, views=3))
    with colleague.cursor() as cursor:
        cursor.execute("DELETE FROM core.channels WHERE id = %s", [gone.pk])
    run = manage("aggregate_stats", "--json")
    wait_for_lock()
    colleague.commit()
    out, err = run.communicate(timeout=60)
    assert (run.returncode, err) == (0, "")
    assert list(ChannelStats.objects.values_list("channel", flat=True)) == [kept.pk]
