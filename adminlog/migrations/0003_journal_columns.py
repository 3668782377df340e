import django.contrib.postgres.fields
import django.contrib.postgres.functions
import django.contrib.postgres.indexes
import django.db.models.deletion
from django.db import migrations, models

import smetabot.postgres.fields
from smetabot.postgres.migrations import AppendOnly


class Migration(migrations.Migration):
    dependencies = [
        ("adminlog", "0002_journal_append_only"),
    ]

    operations = [
        migrations.CreateModel(
            name="ActionDetails",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("salt", models.UUIDField(db_default=django.contrib.postgres.functions.RandomUUID(), null=True)),
                ("personal", models.JSONField(decoder=smetabot.postgres.fields.AnyJSON, null=True)),
            ],
            options={
                "verbose_name_plural": "action details",
                "db_table": 'admin"."action_details',
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("personal__isnull", True), ("salt__isnull", True)),
                            models.Q(("personal__isnull", False), ("salt__isnull", False)),
                            _connector="OR",
                        ),
                        name="action_details_whole_or_empty",
                    )
                ],
            },
        ),
        AppendOnly("ActionDetails", erasable=["salt", "personal"]),
        migrations.AlterModelOptions(
            name="adminuser",
            options={
                "permissions": [("reset_adminuser", "Can reset password, second factor and lock-out")],
                "verbose_name": "staff member",
            },
        ),
        migrations.AlterModelOptions(
            name="adminaction",
            options={
                "permissions": [("export_adminaction", "Can export the journal")],
                "verbose_name": "journal entry",
                "verbose_name_plural": "journal entries",
            },
        ),
        migrations.AlterField(
            model_name="adminaction",
            name="created_at",
            field=models.DateTimeField(db_default=smetabot.postgres.fields.TransactionNow(), verbose_name="time"),
        ),
        migrations.AlterField(
            model_name="adminaction",
            name="payload",
            field=models.JSONField(decoder=smetabot.postgres.fields.AnyJSON, null=True),
        ),
        migrations.AddField(
            model_name="adminaction",
            name="seq",
            field=models.BigIntegerField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="adminaction",
            name="hash",
            field=models.CharField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="adminaction",
            name="admin_name",
            field=models.CharField(null=True),
        ),
        migrations.AddField(
            model_name="adminaction",
            name="admin_role",
            field=models.CharField(null=True),
        ),
        migrations.AddField(
            model_name="adminaction",
            name="contractors",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.BigIntegerField(), db_default=[], size=None
            ),
        ),
        migrations.AddField(
            model_name="adminaction",
            name="details",
            field=models.OneToOneField(
                null=True, on_delete=django.db.models.deletion.RESTRICT, to="adminlog.actiondetails"
            ),
        ),
        migrations.AddField(
            model_name="adminaction",
            name="details_hash",
            field=models.CharField(null=True),
        ),
        migrations.AddField(
            model_name="adminaction",
            name="part_of",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.RESTRICT,
                related_name="parts",
                to="adminlog.adminaction",
            ),
        ),
        migrations.AddField(
            model_name="adminaction",
            name="address",
            field=models.GenericIPAddressField(null=True),
        ),
        migrations.AddField(
            model_name="adminaction",
            name="request_id",
            field=models.UUIDField(null=True),
        ),
        migrations.AddIndex(
            model_name="adminaction",
            index=models.Index(fields=["target_type", "target_id"], name="admin_actions_target"),
        ),
        migrations.AddIndex(
            model_name="adminaction",
            index=models.Index(fields=["action"], name="admin_actions_action"),
        ),
        migrations.AddIndex(
            model_name="adminaction",
            index=models.Index(fields=["created_at"], name="admin_actions_created"),
        ),
        migrations.AddIndex(
            model_name="adminaction",
            index=django.contrib.postgres.indexes.GinIndex(fields=["contractors"], name="admin_actions_contractors"),
        ),
    ]
