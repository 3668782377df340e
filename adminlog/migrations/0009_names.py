import django.contrib.postgres.fields
import django.contrib.postgres.functions
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import smetabot.postgres.deletion
import smetabot.postgres.fields


class Migration(migrations.Migration):
    dependencies = [
        ("adminlog", "0008_preferences"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="actiondetails",
            options={"verbose_name": "action details", "verbose_name_plural": "action details"},
        ),
        migrations.AlterModelOptions(
            name="adminuser",
            options={
                "permissions": [("reset_adminuser", "Can reset password, second factor and lock-out")],
                "verbose_name": "staff member",
                "verbose_name_plural": "staff members",
            },
        ),
        migrations.AlterModelOptions(
            name="jobrun",
            options={"verbose_name": "job run", "verbose_name_plural": "job runs"},
        ),
        migrations.AlterModelOptions(
            name="note",
            options={"verbose_name": "note", "verbose_name_plural": "notes"},
        ),
        migrations.AlterField(
            model_name="actiondetails",
            name="personal",
            field=models.JSONField(decoder=smetabot.postgres.fields.AnyJSON, null=True, verbose_name="personal"),
        ),
        migrations.AlterField(
            model_name="actiondetails",
            name="salt",
            field=models.UUIDField(
                db_default=django.contrib.postgres.functions.RandomUUID(), null=True, verbose_name="salt"
            ),
        ),
        migrations.AlterField(
            model_name="adminaction",
            name="action",
            field=models.CharField(verbose_name="action"),
        ),
        migrations.AlterField(
            model_name="adminaction",
            name="address",
            field=models.GenericIPAddressField(null=True, verbose_name="address"),
        ),
        migrations.AlterField(
            model_name="adminaction",
            name="admin",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.RESTRICT,
                related_name="actions",
                to="adminlog.adminuser",
                verbose_name="admin",
            ),
        ),
        migrations.AlterField(
            model_name="adminaction",
            name="admin_name",
            field=models.CharField(null=True, verbose_name="admin name"),
        ),
        migrations.AlterField(
            model_name="adminaction",
            name="admin_role",
            field=models.CharField(db_default="", verbose_name="admin role"),
        ),
        migrations.AlterField(
            model_name="adminaction",
            name="contractors",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.BigIntegerField(), db_default=[], size=None, verbose_name="contractors"
            ),
        ),
        migrations.AlterField(
            model_name="adminaction",
            name="details",
            field=models.OneToOneField(
                null=True,
                on_delete=django.db.models.deletion.RESTRICT,
                to="adminlog.actiondetails",
                verbose_name="details",
            ),
        ),
        migrations.AlterField(
            model_name="adminaction",
            name="details_hash",
            field=models.CharField(null=True, verbose_name="details hash"),
        ),
        migrations.AlterField(
            model_name="adminaction",
            name="hash",
            field=models.CharField(db_default="", editable=False, verbose_name="hash"),
        ),
        migrations.AlterField(
            model_name="adminaction",
            name="part_of",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.RESTRICT,
                related_name="parts",
                to="adminlog.adminaction",
                verbose_name="part of",
            ),
        ),
        migrations.AlterField(
            model_name="adminaction",
            name="payload",
            field=models.JSONField(decoder=smetabot.postgres.fields.AnyJSON, null=True, verbose_name="payload"),
        ),
        migrations.AlterField(
            model_name="adminaction",
            name="request_id",
            field=models.UUIDField(null=True, verbose_name="request id"),
        ),
        migrations.AlterField(
            model_name="adminaction",
            name="seq",
            field=models.BigIntegerField(db_default=0, editable=False, unique=True, verbose_name="seq"),
        ),
        migrations.AlterField(
            model_name="adminaction",
            name="target_id",
            field=models.BigIntegerField(null=True, verbose_name="target id"),
        ),
        migrations.AlterField(
            model_name="adminaction",
            name="target_type",
            field=models.CharField(null=True, verbose_name="target type"),
        ),
        migrations.AlterField(
            model_name="adminaction",
            name="token",
            field=models.UUIDField(null=True, verbose_name="token"),
        ),
        migrations.AlterField(
            model_name="adminuser",
            name="added_at",
            field=models.DateTimeField(
                db_default=smetabot.postgres.fields.TransactionNow(), editable=False, verbose_name="added at"
            ),
        ),
        migrations.AlterField(
            model_name="adminuser",
            name="is_active",
            field=models.BooleanField(db_default=True, verbose_name="is active"),
        ),
        migrations.AlterField(
            model_name="adminuser",
            name="language",
            field=models.CharField(
                blank=True, choices=[("en", "English"), ("ru", "Русский")], null=True, verbose_name="language"
            ),
        ),
        migrations.AlterField(
            model_name="adminuser",
            name="login",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=smetabot.postgres.deletion.DB_SET_NULL,
                related_name="admin_user",
                to=settings.AUTH_USER_MODEL,
                verbose_name="login",
            ),
        ),
        migrations.AlterField(
            model_name="adminuser",
            name="role",
            field=models.CharField(
                choices=[("support", "Support"), ("manager", "Manager"), ("owner", "Owner")], verbose_name="role"
            ),
        ),
        migrations.AlterField(
            model_name="adminuser",
            name="time_zone",
            field=models.CharField(blank=True, null=True, verbose_name="time zone"),
        ),
        migrations.AlterField(
            model_name="adminuser",
            name="username",
            field=models.CharField(blank=True, null=True, verbose_name="username"),
        ),
        migrations.AlterField(
            model_name="jobrun",
            name="command",
            field=models.CharField(verbose_name="command"),
        ),
        migrations.AlterField(
            model_name="jobrun",
            name="counts",
            field=models.JSONField(null=True, verbose_name="counts"),
        ),
        migrations.AlterField(
            model_name="jobrun",
            name="error",
            field=models.TextField(null=True, verbose_name="error"),
        ),
        migrations.AlterField(
            model_name="jobrun",
            name="finished_at",
            field=models.DateTimeField(null=True, verbose_name="finished at"),
        ),
        migrations.AlterField(
            model_name="jobrun",
            name="outcome",
            field=models.CharField(choices=[("done", "Done"), ("failed", "Failed")], null=True, verbose_name="outcome"),
        ),
        migrations.AlterField(
            model_name="jobrun",
            name="started_at",
            field=models.DateTimeField(db_default=smetabot.postgres.fields.TransactionNow(), verbose_name="started at"),
        ),
        migrations.AlterField(
            model_name="note",
            name="author",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.RESTRICT,
                related_name="notes",
                to="adminlog.adminuser",
                verbose_name="author",
            ),
        ),
        migrations.AlterField(
            model_name="note",
            name="contractor_id",
            field=models.BigIntegerField(verbose_name="contractor id"),
        ),
        migrations.AlterField(
            model_name="note",
            name="created_at",
            field=models.DateTimeField(db_default=smetabot.postgres.fields.TransactionNow(), verbose_name="created at"),
        ),
        migrations.AlterField(
            model_name="note",
            name="text",
            field=models.TextField(null=True, verbose_name="text"),
        ),
    ]
