"""A week of cron on demo data, day by day."""

import datetime as dt
import json
from collections import Counter
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import call_command

from core.models import Contractor
from smetabot.demo.seeding import seed
from smetabot.tests import bot

pytestmark = pytest.mark.django_db

START = dt.datetime(2026, 1, 30, 9, tzinfo=dt.UTC)
JOBS = [command for _, _, (command,) in settings.CRONJOBS]

# What finds fault, and the name that it finds it under.
LOOKS = {"check_data": "findings", "verify_journal": "broken"}
# What a week without mishaps has none of.
NEVER = {
    "apply_gifts failed",
    *["roll_up_days removed", "roll_up_days kept"],
    *[f"watch_jobs {number}" for number in ("late", "killed", "opened", "closed", "told")],
    *[f"clear_expired {number}" for number in ("sessions", "attempts", "runs")],
    *["maintain_partitions rows_left", "maintain_partitions months_detached", "maintain_partitions tables_dropped"],
}


def run(job, now):
    out = StringIO()
    call_command(job, "--json", now=now, stdout=out)
    return json.loads(out.getvalue())


def the_bot_goes_on(day):
    """New people come by the links of others, make channels and publish; some pay."""
    referrers = list(Contractor.objects.order_by("pk").values_list("pk", flat=True)[:5])
    for number, referrer in enumerate(referrers):
        referred = bot.meet(10 * day + number)
        bot.run(
            "INSERT INTO referrals.referrals (referrer_id, referred_contractor_id) VALUES (%s, %s)", referrer, referred
        )
        for channel in range(2):
            channel = bot.make_channel(referred, -(100 * day + 10 * number + channel + 1))
            bot.publish(channel, 1, views=day)
    bot.run("UPDATE core.publications SET views = views + id %% 3 WHERE NOT deleted AND id %% 7 = %s", day)


def test_a_week_day_by_day_ends_with_nothing_that_disagrees():
    seed(contractors=200, seed=1, now=START)
    done = Counter()
    for day in range(1, 8):
        the_bot_goes_on(day)
        for job in JOBS:
            result = run(job, START + dt.timedelta(days=day))
            if job in LOOKS:
                assert result[LOOKS[job]] == []
            else:
                done.update({f"{job} {name}": count for name, count in result.items()})
    assert {name for name in done if not done[name]} <= NEVER
