"""What staff type into a search box, as a condition on rows."""

import re
from collections.abc import Iterable, Iterator
from functools import reduce
from itertools import islice
from operator import or_

from django.contrib.admin.utils import get_fields_from_path
from django.db.models import IntegerField, Model, Q
from django.utils.text import smart_split, unescape_string_literal

# A word more only narrows a search that finds one row by then.
MAX_WORDS = 10


def words(term: str) -> Iterator[str]:
    """The words to look for, each: "Ivan Petrov" in quotes is one, @ivan is the username without its @."""
    for word in islice(smart_split(term.replace("\0", "")), MAX_WORDS):
        if len(word) > 1 and word[0] in "\"'" and word[-1] == word[0]:
            word = unescape_string_literal(word)
        yield word.removeprefix("@") or word


def matching(model: type[Model], paths: Iterable[str], word: str) -> Q:
    """Rows of `model` with the word in one of these columns.

    A number is compared with numbers: casting them to text, as Django's admin does, leaves their indexes unused.
    """
    number = int(word) if re.fullmatch(r"-?[0-9]{1,19}", word) else None
    conditions = [Q(pk__in=[])]
    for path in paths:
        if not isinstance(get_fields_from_path(model, path)[-1], IntegerField):
            conditions.append(Q((f"{path}__icontains", word)))
        elif number is not None:
            conditions.append(Q((path, number)))
    return reduce(or_, conditions)
