"""What staff type into a search box, as a condition on rows."""

import re
from collections.abc import Iterable, Iterator
from functools import reduce
from itertools import islice
from operator import or_
from typing import Any

from django.db.models import CharField, IntegerField, Model, Q, TextField, Transform
from django.utils.text import smart_split, unescape_string_literal

# A word more only narrows a search that finds one row by then.
MAX_WORDS = 10
YO = str.maketrans("ёЁ", "еЕ")


@CharField.register_lookup
@TextField.register_lookup
class WithoutYo(Transform):
    """People write е for ё as they please: Фёдор and Федор are one name."""

    lookup_name = "without_yo"
    template = "translate(%(expressions)s, 'ёЁ', 'еЕ')"


def words(term: str) -> Iterator[str]:
    """The words to look for, each: "Ivan Petrov" in quotes is one, @ivan is the username without its @."""
    for word in islice(smart_split(term.replace("\0", "")), MAX_WORDS):
        if len(word) > 1 and word[0] in "\"'" and word[-1] == word[0]:
            word = unescape_string_literal(word)
        yield word.removeprefix("@") or word


def matching(model: type[Model], paths: Iterable[str], word: str) -> Q:
    """Rows of `model` with the word in one of these columns, which may lie along foreign keys: channel__title.

    Parents are found in their own table first, with its indexes; a join would compare the parent of every row. A
    number is compared with numbers: casting them to text, as Django's admin does, leaves their indexes unused.
    """
    number = int(word) if re.fullmatch(r"-?[0-9]{1,19}", word) else None
    conditions = [Q(pk__in=[])]
    along: dict[str, list[str]] = {}
    for path in paths:
        name, _, rest = path.partition("__")
        if rest:
            along.setdefault(name, []).append(rest)
        elif not isinstance(model._meta.get_field(name), IntegerField):
            conditions.append(Q((f"{path}__without_yo__icontains", word.translate(YO))))
        elif number is not None:
            conditions.append(Q((path, number)))
    for name, columns in along.items():
        parent: Any = model._meta.get_field(name).related_model
        conditions.append(Q((f"{name}__in", parent._default_manager.filter(matching(parent, columns, word)))))
    return reduce(or_, conditions)
