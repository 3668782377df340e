"""on_delete that PostgreSQL carries out, also when another program deletes in plain SQL."""

from django.db import models


def DB_CASCADE(collector, field, sub_objs, using):
    pass


def DB_SET_NULL(collector, field, sub_objs, using):
    pass


# Django then never asks whether there are related objects.
DB_CASCADE.lazy_sub_objs = True  # type: ignore[attr-defined]
DB_SET_NULL.lazy_sub_objs = True  # type: ignore[attr-defined]

CLAUSES = {
    DB_CASCADE: " ON DELETE CASCADE",
    DB_SET_NULL: " ON DELETE SET NULL",
    models.PROTECT: " ON DELETE RESTRICT",
    models.RESTRICT: " ON DELETE RESTRICT",
}


def on_delete_sql(field: models.Field) -> str:
    """The clause of the field's foreign key. Empty for what Django does itself, like CASCADE, and for no relation."""
    on_delete = getattr(field.remote_field, "on_delete", None)
    if on_delete is DB_SET_NULL and not field.null:
        raise ValueError(f"{field}: on_delete=DB_SET_NULL needs null=True")
    return CLAUSES.get(on_delete, "")  # type: ignore[arg-type]
