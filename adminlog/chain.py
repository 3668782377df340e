"""Whether the journal is what was written: each row's hash is made of the row and of the hash before it."""

import argparse
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.db import connection
from django.db.models import BigIntegerField, TextField, Value
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Concat

from adminlog.models import JobRun
from smetabot.postgres.retry import retry_transient


class Head(NamedTuple):
    """The last row, which vouches for all before it. Kept elsewhere, it shows when the journal's tail was cut."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


# Both Python and PostgreSQL read it so.
HEAD = r"^(0:|[1-9][0-9]{0,17}:[0-9a-f]{64})$"


def head(value: "str | Head") -> Head:
    """Argument type: SEQ:HASH, as verify_journal prints it; 0 and no hash for an empty journal."""
    if re.search(HEAD, text := str(value)):
        seq, _, digest = text.partition(":")
        return Head(int(seq), digest)
    raise argparse.ArgumentTypeError(f"{text!r} is no head; write SEQ:HASH, as verify_journal prints it")


@dataclass(frozen=True)
class Verified:
    entries: int
    # How many of them a person was erased from.
    emptied: int
    head: Head
    # What is wrong, the first broken link before all else.
    broken: Sequence[str]


# One statement, so that nothing is written between the reading of two rows.
VERIFY = """
WITH link AS MATERIALIZED (
    SELECT
        act.seq,
        act.id,
        details.id IS NOT NULL AND details.personal IS NULL AS emptied,
        CASE
            WHEN act.seq = lag(act.seq) OVER chain THEN
                'its number stands twice'
            WHEN act.seq IS DISTINCT FROM coalesce(lag(act.seq) OVER chain, 0) + 1 THEN
                'it does not follow entry ' || coalesce(lag(act.seq) OVER chain, 0)
            WHEN act.hash IS DISTINCT FROM admin.action_hash(lag(act.hash) OVER chain, act) THEN
                'its hash is not that of what it says and of the hash before it'
            WHEN act.details_id IS NOT NULL AND details.id IS NULL THEN
                'its details are missing'
            WHEN (details.salt, details.personal) IS DISTINCT FROM (NULL, NULL)
                AND act.details_hash IS DISTINCT FROM admin.details_hash(details.salt, details.personal) THEN
                'its details are not those that were written with it'
        END AS fault
    FROM admin.admin_actions AS act
    LEFT JOIN admin.action_details AS details ON details.id = act.details_id
    WINDOW chain AS (ORDER BY act.seq, act.id)
), head AS (
    SELECT seq, hash FROM admin.admin_actions ORDER BY seq DESC LIMIT 1
)
SELECT
    (SELECT count(*) FROM link),
    (SELECT count(*) FROM link WHERE emptied),
    coalesce((SELECT seq FROM head), 0),
    coalesce((SELECT hash FROM head), ''),
    (
        SELECT format('broken at entry %%s (id %%s): %%s', seq, id, fault)
        FROM link WHERE fault IS NOT NULL ORDER BY seq, id LIMIT 1
    ),
    ARRAY(
        SELECT DISTINCT seq FROM unnest(%(seqs)s::bigint[], %(hashes)s::text[]) AS known (seq, hash)
        WHERE seq > 0 AND NOT EXISTS (
            SELECT FROM admin.admin_actions AS act WHERE (act.seq, act.hash) = (known.seq, known.hash)
        )
        ORDER BY seq
    )
"""


@retry_transient
def verify(*, known: Collection[Head] = ()) -> Verified:
    """Follow the chain from its first row to its last. `known` are heads of before, which it must still hold."""
    with connection.cursor() as cursor:
        cursor.execute(VERIFY, {"seqs": [seq for seq, _ in known], "hashes": [digest for _, digest in known]})
        entries, emptied, seq, digest, fault, lost = cursor.fetchone()
    broken = [fault] if fault else []
    for was in lost:
        if was > seq:
            broken.append(f"the tail was cut: it ends at entry {seq} and once ended at entry {was}")
        else:
            broken.append(f"rewritten: entry {was} is not what it was when it was the last")
    return Verified(entries, emptied, Head(seq, digest), broken)


def remembered() -> Head | None:
    """The head of the runs of verify_journal that found all whole: the farthest, because one that began earlier may
    have seen more. What is no head, whoever wrote it there, is not remembered."""
    told = Concat(KT("counts__seq"), Value(":"), KT("counts__hash"), output_field=TextField())
    runs = JobRun.objects.filter(command="verify_journal", outcome=JobRun.Outcome.DONE).annotate(told=told)
    farthest = runs.filter(told__regex=HEAD).order_by(Cast(KT("counts__seq"), BigIntegerField()).desc())
    told_farthest = farthest.values_list("told", flat=True).first()
    return head(told_farthest) if told_farthest else None
