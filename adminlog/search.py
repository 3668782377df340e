"""What staff type into a search box, as a condition on rows."""

import re
from collections.abc import Iterable, Iterator
from functools import reduce
from itertools import islice
from operator import or_
from typing import Any

from django.db.models import CharField, IntegerField, Model, Q, QuerySet, TextField, Transform
from django.utils.text import smart_split, unescape_string_literal

from adminlog.telegram import chat_ids, meant_by

# A word more only narrows a search that finds one row by then.
MAX_WORDS = 10
# So many parents are named one by one.
MOST_PARENTS = 1_000
YO = str.maketrans("ёЁ", "еЕ")
NUMBER = re.compile("-?[0-9]{1,19}")
# What people write around a word, and what they do not see that they copied.
AROUND = " .,;:!?()[]{}<>«»“”„\"'\u200b\u200e\u200f\ufeff"


@CharField.register_lookup
@TextField.register_lookup
class WithoutYo(Transform):
    """People write е for ё as they please: Фёдор and Федор are one name."""

    lookup_name = "without_yo"
    template = "translate(%(expressions)s, 'ёЁ', 'еЕ')"


def words(term: str) -> Iterator[str]:
    """The words to look for, each: "Ivan Petrov" in quotes is one, @ivan is the username without its @."""
    for word in split(term):
        yield word.removeprefix("@") or word


def split(term: str) -> Iterator[str]:
    """Of a link into Telegram what it is about; of other words what stands between the signs around them."""
    for word in islice(smart_split(term.replace("\0", "")), MAX_WORDS):
        if len(word) > 1 and word[0] in "\"'" and word[-1] == word[0]:
            yield unescape_string_literal(word)
        else:
            word = word.strip(AROUND) or word
            yield meant_by(word) or word


def named(term: str) -> str | None:
    """The one thing that it names beyond doubt: a number, an @username, what a link is about. Of a mere word one cannot
    know whether it is the whole of a name."""
    match list(split(term)):
        case [word] if word.startswith("@") or NUMBER.fullmatch(word) or meant_by(term.strip(AROUND)):
            return word.removeprefix("@") or None
    return None


def matching(model: type[Model], paths: Iterable[str], word: str, *, whole: bool = False) -> Q:
    """Rows of `model` with the word in one of these columns, which may lie along foreign keys: channel__title.

    Parents are found in their own table first, with its indexes; a join would compare the parent of every row. A
    number is compared with numbers: casting them to text, as Django's admin does, leaves their indexes unused. Texts
    hold the word, or are the `whole` of it.
    """
    number = int(word) if NUMBER.fullmatch(word) else None
    conditions = [Q(pk__in=[])]
    along: dict[str, list[str]] = {}
    for path in paths:
        name, _, rest = path.partition("__")
        if rest:
            along.setdefault(name, []).append(rest)
        elif not isinstance(model._meta.get_field(name), IntegerField):
            lookup = "iexact" if whole else "icontains"
            conditions.append(Q((f"{path}__without_yo__{lookup}", word.translate(YO))))
        elif number is not None:
            conditions.append(Q((f"{path}__in", chat_ids(number))) if path == "tg_chat_id" else Q((path, number)))
    for name, columns in along.items():
        parent: Any = model._meta.get_field(name).related_model
        found = parent._default_manager.filter(matching(parent, columns, word, whole=whole))
        conditions.append(among(name, found))
    return reduce(or_, conditions)


def among(name: str, rows: QuerySet[Any], column: str = "pk") -> Q:
    """Rows whose `name` is the `column` of these others.

    A few are read at once: beside a sub-query PostgreSQL uses no index for any other condition of an OR. Where they are
    many, so is what hangs on them, and the newest of it are soon found without an index.
    """
    values = rows.order_by().values_list(column, flat=True)
    few = list(values[: MOST_PARENTS + 1])
    return Q((f"{name}__in", values if len(few) > MOST_PARENTS else few))
