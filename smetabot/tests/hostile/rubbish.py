"""Values that no honest browser, file or shell would bring, and some that one would."""

import json
from urllib.parse import quote_plus

from hypothesis import strategies as st

MARK = "<script>alert(1)</script>"

NUMBERS = [
    *("0", "1", "-1", "-0", "+1", " 1 ", "1.5", "1,5", "1_000", "0x10", "1e3", "1e400", "-1e400", "1e-400"),
    *("NaN", "sNaN", "-Infinity", "inf", "²", "½", "٣", "１２", "--1", "1-1"),
    *(str(number + step) for number in (2**31, 2**32, 2**63, -(2**31), -(2**63)) for step in (-1, 0)),
    *("1" + "0" * 30, "-1" + "0" * 30, "9" * 400, "9" * 5000, "0." + "1" * 5000, "99999999999", "-99999999999"),
]
MOMENTS = [
    *("0001-01-01", "9999-12-31", "10000-01-01", "0000-00-00", "-0001-01-01", "2023-02-29", "2024-02-29"),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-12:00", "9999-12-31T23:59", "0001-01-01T00:00"),
    # In Berlin the one was not, and the other was twice.
    *("2026-03-29T02:30", "2026-10-25T02:30", "1893-04-01T00:03", "2016-12-31T23:59:60", "24:00", "00:00", "25:61"),
    *("infinity", "-infinity", "now", "2026-W53-7", "2026-001", "1900-02-29", "2026-01-31T09:00:00Z"),
    *("0001-01-01..9999-12-31", "9999-12-31..0001-01-01", "2026-01-01..", "..", "2026-01-01...2026-01-02"),
]
DEEP = 100_000
DOCUMENTS = [
    *("{", "}", "[]", "null", "true", '"', '{"a": 1, "a": 2}', '{"team_size": -1}', '{"team_size": 1e400}', "{'a': 1}"),
    *('{"team_size": true}', '{"crm": "yes"}', "[NaN]", '{"a": Infinity}', r'{"a": "\u0000"}', r'{"a": "\ud800"}'),
    *("[" * DEEP, "[" * 900 + "]" * 900, '{"a":' * 200 + "1" + "}" * 200, f'{{"team_size": {"9" * 5000}}}'),
    *(f'{{"crm": {"9" * 400}.5}}', '{"\\u202e": 1}'),
]
TEXTS = [
    *("", " ", "\0", "a\0b", "%00", "\t\r\n", "\x1b[31m", "\x7f\x80\x9f", "\u2028\u2029", "\ufffe\uffff"),
    *("\u202egpj.exe", "\u200b\u200d\u200e\ufeff", "\u2066\u2069", "e" + "\u0301" * 500, "אבג\u202dabc", "ﷺ" * 50),
    *("\ud800", "a\udfffb", "\udcff\udcfe", "👩‍👩‍👧‍👦", "🇷🇺", "ß", "İ", "ǅ", "Ёё", "\U0010ffff"),
    *(
        "'; DROP TABLE core.contractors; --",
        "' OR 1=1 --",
        '"',
        '""',
        "'",
        "\\",
        "%",
        "%s",
        "%(x)s",
        "{0}",
        "{{ 7*7 }}",
    ),
    *(
        MARK,
        "javascript:alert(1)",
        "//example.com",
        "http://[",
        "/\\example.com",
        "../../../../etc/passwd",
        "/dev/zero",
    ),
    *("x\r\nSet-Cookie: a=b", "-", "--", "--help", "@", "@@", "@ivan", "#", "?", "&", "a=b&a=c", "=cmd|' /C calc'!A0"),
    *("https://t.me/+", "tg://resolve?domain=", "t.me/c/" + "9" * 30, "https://t.me/%00", "tg://user?id=" + "9" * 30),
    *("A" * 201, "A" * 1001, "Я" * 10_001, "A" * 100_000, "x y " * 2000, "(" * 5000, "1," * 3000),
]

texts = (
    st.sampled_from(TEXTS)
    | st.text(max_size=40)
    | st.text(st.characters(categories=["Cc", "Cf", "Cs", "Co", "Mn", "Zl", "Zp", "Zs"]), max_size=20)
    | st.binary(max_size=20).map(lambda data: data.decode("utf-8", "surrogateescape"))
)
numbers = st.sampled_from(NUMBERS) | st.integers().map(str) | st.floats().map(str) | st.decimals().map(str)
moments = (
    st.sampled_from(MOMENTS)
    | st.datetimes().map(lambda moment: moment.isoformat())
    | st.dates().map(lambda day: day.isoformat())
    | st.times().map(lambda time: time.isoformat())
    | st.tuples(st.dates(), st.dates()).map(lambda days: f"{days[0]}..{days[1]}")
)
plain_documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=15,
)
documents = st.sampled_from(DOCUMENTS) | plain_documents.map(json.dumps)
values = texts | numbers | moments | documents
keys = (
    numbers
    | texts
    | st.sampled_from(["add", "export", "1/change", "1_2F", "_5F", "_", "1/../2", ".", "..", "1" * 300, "%2e%2e"])
)


def encoded(pairs) -> str:
    """As an address or a form has them; what is no text in UTF-8 stays none."""
    return "&".join(f"{percent(name)}={percent(value)}" for name, value in pairs)


def percent(text: str) -> str:
    return quote_plus(text.encode("utf-8", "surrogatepass"))
