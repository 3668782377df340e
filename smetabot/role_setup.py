"""Where the database differs from the table of database_roles.py, and what brings it there."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import tenacity
from django.conf import settings
from django.db import connection, transaction
from psycopg.errors import DuplicateObject, InternalError_, UniqueViolation

from smetabot.database_roles import PARTITIONS, ROLES, SCHEMAS, SETTINGS, Right, named_tables, rights
from smetabot.postgres.locks import is_busy, set_patience
from smetabot.postgres.partitions import QUICK

ATTRIBUTES = {
    "rolcanlogin": ("LOGIN", True),
    "rolsuper": ("SUPERUSER", False),
    "rolcreatedb": ("CREATEDB", False),
    "rolcreaterole": ("CREATEROLE", False),
    "rolreplication": ("REPLICATION", False),
    "rolbypassrls": ("BYPASSRLS", False),
}


class Difference(NamedTuple):
    """`remedy` is None of what only a person can set right."""

    told: str
    remedy: str | None


class MissingRightError(Exception):
    """Who runs it may not; the message is one line."""


# What a role has by owning it is not given to it. Of an extension's objects and of the system's nothing is ours.
HELD = r"""
    WITH ours AS (
        SELECT oid, rolname::text FROM pg_roles WHERE rolname = ANY(%(roles)s) UNION ALL SELECT 0, 'PUBLIC'
    ), objects (kind, name, col, owner, acl) AS (
        SELECT 'DATABASE', quote_ident(datname), '', datdba, coalesce(datacl, acldefault('d', datdba))
        FROM pg_database WHERE datname = current_database()
        UNION ALL
        SELECT 'SCHEMA', quote_ident(nspname), '', nspowner, coalesce(nspacl, acldefault('n', nspowner))
        FROM pg_namespace WHERE nspname = ANY(%(schemas)s)
        UNION ALL
        SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
            format('%%I.%%I', nspname, relname), '', relowner, relacl
        FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE nspname = ANY(%(schemas)s) AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND NOT EXISTS (
            SELECT FROM pg_depend
            WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e'
        )
        UNION ALL
        SELECT 'TABLE', format('%%I.%%I', nspname, relname), quote_ident(attname), relowner, attacl
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE nspname = ANY(%(schemas)s) AND attacl IS NOT NULL AND NOT attisdropped
        UNION ALL
        SELECT 'FUNCTION', format('%%I.%%I', nspname, proname) || CASE
                WHEN count(*) OVER (PARTITION BY pronamespace, proname) > 1
                THEN format('(%%s)', pg_get_function_identity_arguments(pg_proc.oid)) ELSE ''
            END, '', proowner, coalesce(proacl, acldefault('f', proowner))
        FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
        WHERE nspname = ANY(%(schemas)s) AND NOT EXISTS (
            SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid AND deptype = 'e'
        )
    )
    SELECT kind, name, rolname, privilege_type, col, bool_or(is_grantable)
    FROM objects CROSS JOIN LATERAL aclexplode(acl) JOIN ours ON ours.oid = grantee
    WHERE grantee <> owner
    GROUP BY kind, name, rolname, privilege_type, col
"""
# With the months that were detached and wait to be dropped.
PARTITIONED = r"""
    SELECT pg_class.oid, oid::regclass::text AS name, relowner
    FROM pg_class
    WHERE oid = ANY('{analytics.events,analytics.views_daily}'::regclass[])
        OR oid IN (
            SELECT inhrelid FROM pg_inherits
            WHERE inhparent = ANY('{analytics.events,analytics.views_daily}'::regclass[])
        )
        OR relnamespace = 'analytics'::regnamespace AND relkind = 'r'
            AND relname ~ '^events_[0-9]{6}(_[0-9]+)?_detached$'
"""


@dataclass(frozen=True)
class Place:
    database: str
    owner: str
    runner: str
    may_set_up: bool


def place() -> Place:
    [row] = rows("""
        SELECT quote_ident(current_database()), owner.rolname, me.rolname,
            me.rolsuper
        FROM pg_roles AS me, pg_class JOIN pg_roles AS owner ON owner.oid = relowner
        WHERE me.rolname = current_user AND pg_class.oid = 'core.contractors'::regclass
    """)
    return Place(*row)


def differences() -> list[Difference]:
    """Between the table and the database. First what the rest stands on."""
    here = place()
    return [*_of_roles(here), *_of_rights(here, of={"DATABASE", "SCHEMA"}), *_of_languages(here), *_of_owners(here),
            *_of_rights(here), *_of_defaults(here), *_of_tables()]  # fmt: skip


def _of_roles(here: Place) -> Iterator[Difference]:
    names = ", ".join(ATTRIBUTES)
    found = {
        name: values for name, *values in rows(f"SELECT rolname, {names} FROM pg_roles WHERE rolname = ANY(%s)", ROLES)
    }
    for role in ROLES:
        if role not in found:
            yield Difference(f"{role} is not there", f"CREATE ROLE {role} LOGIN")
            continue
        for (word, wanted), value in zip(ATTRIBUTES.values(), found[role], strict=True):
            if value != wanted:
                word = word if wanted else f"NO{word}"
                yield Difference(f"{role} is not {word}", f"ALTER ROLE {role} {word}")
    for parent, member in rows(
        "SELECT quote_ident(parent.rolname), member.rolname FROM pg_auth_members"
        " JOIN pg_roles AS parent ON parent.oid = roleid JOIN pg_roles AS member ON member.oid = pg_auth_members.member"
        " WHERE member.rolname = ANY(%s) ORDER BY 1, 2",
        ROLES,
    ):
        yield Difference(f"{member} is a member of {parent}", f"REVOKE {parent} FROM {member}")
    # Else migrations and a dump could not reach what it owns.
    inherits = PARTITIONS in found and rows("SELECT pg_has_role(%s, %s, 'USAGE')", here.owner, PARTITIONS)[0][0]
    if not inherits:
        yield Difference(f"{here.owner} is no member of {PARTITIONS}", f"GRANT {PARTITIONS} TO {_quoted(here.owner)}")
    yield from _of_settings(here)
    # Where one develops or tests it is a superuser's.
    if settings.PRODUCTION:
        [(is_super, makes_roles)] = rows("SELECT rolsuper, rolcreaterole FROM pg_roles WHERE rolname = %s", here.owner)
        for has, word in ((is_super, "SUPERUSER"), (makes_roles, "CREATEROLE")):
            if has:
                yield Difference(f"{here.owner}, who owns the tables, has {word}: ALTER ROLE … NO{word}", None)


def _of_settings(here: Place) -> Iterator[Difference]:
    """Each role may change its own, and for all databases, too. The owner may have others beside ours."""
    wanted = SETTINGS | {here.owner: {"row_security": "off"}}
    set_now: Mapping[str, dict[str, str]] = defaultdict(dict)
    for role, everywhere, setting in rows(
        "SELECT rolname, setdatabase = 0, unnest(setconfig) FROM pg_db_role_setting"
        " JOIN pg_roles ON pg_roles.oid = setrole WHERE rolname = ANY(%s) AND setdatabase IN"
        " (0, (SELECT oid FROM pg_database WHERE datname = current_database())) ORDER BY 1, 2, 3",
        list(wanted),
    ):
        name, _, value = setting.partition("=")
        if not everywhere:
            set_now[role][name] = value
        if role in ROLES and (everywhere or name not in wanted[role]):
            where = "" if everywhere else f" IN DATABASE {here.database}"
            yield Difference(f"{role} has {name} set to {value}", f"ALTER ROLE {role}{where} RESET {_setting(name)}")
    for role, ours in wanted.items():
        for name, value in ours.items():
            if set_now[role].get(name) != value:
                yield Difference(
                    f"{role} has no {name} of {value}",
                    f"ALTER ROLE {_quoted(role)} IN DATABASE {here.database} SET {name} = '{value}'",
                )


def _of_languages(here: Place) -> Iterator[Difference]:
    """Who may use none makes no function. One on events would run by the right of whoever writes there."""
    wanted = {(name, here.owner) for (name,) in rows("SELECT quote_ident(lanname) FROM pg_language WHERE lanpltrusted")}
    held = {
        tuple(row)
        for row in rows(
            """
            SELECT quote_ident(lanname), coalesce(rolname, 'PUBLIC')
            FROM pg_language CROSS JOIN LATERAL aclexplode(coalesce(lanacl, acldefault('l', lanowner)))
            LEFT JOIN pg_roles ON pg_roles.oid = grantee
            WHERE lanpltrusted AND (grantee = 0 OR rolname = ANY(%s))
            """,
            [*ROLES, here.owner],
        )
    }
    for name, grantee in sorted(wanted - held):
        yield Difference(
            f"{grantee} lacks USAGE on language {name}", f"GRANT USAGE ON LANGUAGE {name} TO {_quoted(grantee)}"
        )
    for name, grantee in sorted(held - wanted):
        yield Difference(f"{grantee} has USAGE on language {name}", f"REVOKE USAGE ON LANGUAGE {name} FROM {grantee}")


def _of_rights(here: Place, *, of: set[str] | None = None) -> Iterator[Difference]:
    of = of or {"TABLE", "SEQUENCE", "FUNCTION"}
    wanted = {right for right in rights(database=here.database) if right.kind in of}
    found = _held()
    # Who could hand it on has more than the table says.
    held = {right for right, may_hand_on in found.items() if right.kind in of and not may_hand_on}
    too_much = {right for right in found if right.kind in of} - (wanted & held)
    yield from _statements("has", too_much, "REVOKE {} FROM {}")
    yield from _statements("lacks", wanted - held, "GRANT {} TO {}")


def _held() -> dict[Right, bool]:
    with connection.cursor() as cursor:
        cursor.execute(HELD, {"roles": ROLES, "schemas": [*SCHEMAS, "public"]})
        return {Right(*row[:5]): row[5] for row in cursor.fetchall()}


def _statements(verb: str, some: set[Right], form: str) -> Iterator[Difference]:
    together: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    columns: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    for right in sorted(some):
        columns[right.kind, right.name, right.grantee, right.verb].append(right.column)
    for (kind, name, grantee, what), of in columns.items():
        if "" in of:
            together[kind, name, grantee].append(what)
        if named := [column for column in of if column]:
            together[kind, name, grantee].append(f"{what} ({', '.join(named)})")
    for (kind, name, grantee), verbs in together.items():
        told = ", ".join(verbs)
        thing = name if kind == "TABLE" else f"{kind.lower()} {name}"
        # A procedure is no FUNCTION to GRANT.
        routine = f"{'ROUTINE' if kind == 'FUNCTION' else kind} {name}"
        yield Difference(f"{grantee} {verb} {told} on {thing}", form.format(f"{told} ON {routine}", grantee))


def _of_owners(here: Place) -> Iterator[Difference]:
    owner = _quoted(here.owner)
    for name, whose in rows(
        f"SELECT name, rolname FROM ({PARTITIONED}) AS partitioned JOIN pg_roles ON pg_roles.oid = relowner"
        " WHERE rolname <> %s ORDER BY name",
        PARTITIONS,
    ):
        yield Difference(f"{name} is owned by {whose}", f"ALTER TABLE {name} OWNER TO {PARTITIONS}")
    for role, what, table in rows(
        f"""
        SELECT rolname, pg_describe_object(classid, objid, objsubid),
            (SELECT oid::regclass::text FROM pg_class WHERE classid = 'pg_class'::regclass AND oid = objid)
        FROM pg_shdepend JOIN pg_roles ON pg_roles.oid = refobjid
        WHERE deptype = 'o' AND rolname = ANY(%s)
            AND dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
            AND NOT (rolname = %s AND classid = 'pg_class'::regclass AND (
                objid IN (SELECT oid FROM ({PARTITIONED}) AS partitioned)
                OR objid IN (
                    SELECT pg_depend.objid FROM pg_depend JOIN ({PARTITIONED}) AS partitioned ON oid = refobjid
                    WHERE pg_depend.classid = 'pg_class'::regclass AND deptype = 'i'
                )
            ))
        ORDER BY 1, 2
        """,
        ROLES,
        PARTITIONS,
    ):
        yield Difference(f"{role} owns {what}", f"ALTER TABLE {table} OWNER TO {owner}" if table else None)


def _of_defaults(here: Place) -> Iterator[Difference]:
    """What a migration or a new month makes is given to nobody by itself."""
    makers = [here.owner, PARTITIONS]
    for maker, schema, kind, verb, grantee in rows(
        """
        SELECT maker.rolname, nspname, CASE defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES'
            WHEN 'f' THEN 'FUNCTIONS' WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' END,
            privilege_type, coalesce(grantee.rolname, 'PUBLIC')
        FROM pg_default_acl JOIN pg_roles AS maker ON maker.oid = defaclrole
        LEFT JOIN pg_namespace ON pg_namespace.oid = defaclnamespace
        CROSS JOIN LATERAL aclexplode(defaclacl) AS acl LEFT JOIN pg_roles AS grantee ON grantee.oid = acl.grantee
        WHERE maker.rolname = ANY(%s) AND acl.grantee <> defaclrole AND defaclobjtype <> 'T'
            AND (acl.grantee = 0 OR grantee.rolname = ANY(%s))
        ORDER BY 1, 2, 3, 4, 5
        """,
        makers,
        ROLES,
    ):
        within = f" IN SCHEMA {_quoted(schema)}" if schema else ""
        yield Difference(
            f"{grantee} will have {verb} on the {kind.lower()} that {maker} makes",
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {_quoted(maker)}{within} REVOKE {verb} ON {kind} FROM {grantee}",
        )
    if not rows(
        "SELECT FROM pg_default_acl JOIN pg_roles ON pg_roles.oid = defaclrole"
        " WHERE rolname = %s AND defaclnamespace = 0 AND defaclobjtype = 'f'",
        here.owner,
    ):
        yield Difference(
            f"PUBLIC will have EXECUTE on the functions that {here.owner} makes",
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {_quoted(here.owner)} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
        )


def _of_tables() -> Iterator[Difference]:
    for (name,) in rows(
        "SELECT oid::regclass::text FROM pg_class"
        f" WHERE relnamespace = ANY(%s::regnamespace[]) AND relkind IN ('r', 'p', 'v', 'm', 'f')"
        f" AND oid NOT IN (SELECT oid FROM ({PARTITIONED}) AS partitioned) ORDER BY 1",
        SCHEMAS,
    ):
        if name not in named_tables():
            yield Difference(f"{name} is not in the table of smetabot/database_roles.py: say there who may", None)


def _is_of_neighbours(error: BaseException) -> bool:
    """Roles are those of all databases of a server, where others may be set up at the same moment."""
    return is_busy(error) or isinstance(error.__cause__, DuplicateObject | UniqueViolation | InternalError_)


@tenacity.retry(
    retry=tenacity.retry_if_exception(_is_of_neighbours),
    stop=tenacity.stop_after_attempt(8),
    wait=tenacity.wait_exponential_jitter(multiplier=0.2, max=5, jitter=0.5),
    reraise=True,
)
def set_up() -> list[Difference]:
    """All of it or nothing, in one transaction. Returns what there was to do; what is left in the end is for a person.

    MissingRightError when who runs it is no superuser: languages are one's, and to make roles is up to PostgreSQL 15
    nearly as much.
    """
    done = []
    with transaction.atomic():
        set_patience("30s")
        rows("SELECT pg_advisory_xact_lock(hashtextextended('setup_roles', 0))")
        if not (here := place()).may_set_up:
            raise MissingRightError(
                f"{here.runner} may not set up roles here: run it as a superuser, such as postgres over the server's"
                " socket"
            )
        # Who waits for a lock on events has the bot wait behind.
        set_patience(QUICK)
        # To revoke what is a whole table's takes the columns' along, which are then given anew.
        for _ in range(3):
            todo = [difference for difference in differences() if difference.remedy]
            with connection.cursor() as cursor:
                for difference in todo:
                    cursor.execute(difference.remedy or "")
            done += todo
            if not todo:
                break
    return done


def rows(sql: str, *params: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params or None)
        return cursor.fetchall()


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)


def _setting(name: str) -> str:
    """An extension's has a dot in it."""
    return ".".join(map(_quoted, name.split(".")))
