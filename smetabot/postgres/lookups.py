from django.db.models import Field, Lookup


@Field.register_lookup
class Any(Lookup):
    """`pk__any=keys`: as one array. Of parameters of their own, as `__in` has them, a statement takes no more than
    65,535, and each number of them makes another statement to prepare."""

    lookup_name = "any"
    prepare_rhs = False

    def as_sql(self, compiler, connection):
        column, params = self.process_lhs(compiler, connection)
        return f"{column} = ANY(%s)", [*params, list(self.rhs)]
