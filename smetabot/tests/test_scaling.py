from django.db import connection

from cluster.distribution import DOCUMENT, text


def test_what_citus_would_ask_of_the_schema_is_written_down_as_it_is(db):
    with connection.cursor() as cursor:
        assert text(cursor) in DOCUMENT.read_text(), "write it anew: python -m cluster.distribution"
