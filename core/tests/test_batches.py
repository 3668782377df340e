import pytest
from django.db import connection

from core.batches import Batches
from core.factories import ContractorFactory

pytestmark = pytest.mark.django_db(transaction=True)


def execute(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)


def test_who_is_handled_when_the_connection_is_lost_is_tried_again_and_not_refused():
    contractors = [contractor.pk for contractor in ContractorFactory.create_batch(3)]
    lost = []

    def work(batch):
        if len(batch) > 1:
            execute("SELECT 1 / 0")
        if batch == contractors[1:2] and not lost:
            lost.append(batch)
            execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return {"done": len(batch)}

    batches = Batches(work)
    batches.run(contractors, size=10)
    assert (batches.counts, batches.refused, len(lost)) == ({"done": 3}, {}, 1)


def test_only_who_is_at_fault_is_refused():
    contractors = [contractor.pk for contractor in ContractorFactory.create_batch(3)]

    def work(batch):
        if contractors[1] in batch:
            execute("SELECT 1 / 0")
        return {"done": len(batch)}

    batches = Batches(work)
    batches.run(contractors, size=10)
    assert (batches.counts, batches.refused) == ({"done": 2}, {contractors[1]: "division by zero"})
