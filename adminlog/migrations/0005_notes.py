import django.db.models.deletion
from django.db import migrations, models
from django.db.models.functions import Length
from django.db.models.lookups import LessThanOrEqual

import smetabot.postgres.fields
from smetabot.postgres.migrations import AppendOnly


class Migration(migrations.Migration):
    dependencies = [
        ("adminlog", "0004_journal_chain"),
    ]

    operations = [
        migrations.CreateModel(
            name="Note",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("contractor_id", models.BigIntegerField()),
                ("text", models.TextField(null=True)),
                ("created_at", models.DateTimeField(db_default=smetabot.postgres.fields.TransactionNow())),
                (
                    "author",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.RESTRICT, related_name="notes", to="adminlog.adminuser"
                    ),
                ),
            ],
            options={
                "db_table": 'admin"."notes',
                "indexes": [models.Index(fields=["contractor_id"], name="notes_contractor")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("text__isnull", True),
                            models.Q(("text__regex", r"\S"), LessThanOrEqual(Length("text"), 10_000)),
                            _connector="OR",
                        ),
                        name="notes_text_valid",
                    )
                ],
            },
        ),
        AppendOnly("Note", erasable=["text"]),
    ]
