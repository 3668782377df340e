import django.core.validators
from django.db import migrations, models

import smetabot.postgres.deletion
import smetabot.postgres.fields


class Migration(migrations.Migration):
    dependencies = [
        ("core", "0002_moved_channels"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="channel",
            options={"verbose_name": "channel", "verbose_name_plural": "channels"},
        ),
        migrations.AlterModelOptions(
            name="client",
            options={"verbose_name": "client", "verbose_name_plural": "clients"},
        ),
        migrations.AlterModelOptions(
            name="contractor",
            options={"verbose_name": "contractor", "verbose_name_plural": "contractors"},
        ),
        migrations.AlterModelOptions(
            name="invite",
            options={"verbose_name": "invite", "verbose_name_plural": "invites"},
        ),
        migrations.AlterModelOptions(
            name="publication",
            options={"verbose_name": "publication", "verbose_name_plural": "publications"},
        ),
        migrations.AlterModelOptions(
            name="teammember",
            options={"verbose_name": "team member", "verbose_name_plural": "team members"},
        ),
        migrations.AlterField(
            model_name="channel",
            name="contractor",
            field=models.ForeignKey(
                db_index=False,
                on_delete=smetabot.postgres.deletion.DB_CASCADE,
                related_name="channels",
                to="core.contractor",
                verbose_name="contractor",
            ),
        ),
        migrations.AlterField(
            model_name="channel",
            name="created_at",
            field=models.DateTimeField(
                db_default=smetabot.postgres.fields.TransactionNow(), editable=False, verbose_name="created at"
            ),
        ),
        migrations.AlterField(
            model_name="channel",
            name="created_by_bot",
            field=models.BooleanField(db_default=True, verbose_name="created by bot"),
        ),
        migrations.AlterField(
            model_name="channel",
            name="last_synced_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="last synced at"),
        ),
        migrations.AlterField(
            model_name="channel",
            name="moved_at",
            field=models.DateTimeField(editable=False, null=True, verbose_name="moved at"),
        ),
        migrations.AlterField(
            model_name="channel",
            name="synced",
            field=models.BooleanField(db_default=False, verbose_name="synced"),
        ),
        migrations.AlterField(
            model_name="channel",
            name="title",
            field=models.CharField(blank=True, null=True, verbose_name="title"),
        ),
        migrations.AlterField(
            model_name="channel",
            name="username",
            field=models.CharField(blank=True, null=True, verbose_name="username"),
        ),
        migrations.AlterField(
            model_name="client",
            name="blocked",
            field=models.BooleanField(db_default=False, verbose_name="blocked"),
        ),
        migrations.AlterField(
            model_name="client",
            name="channel",
            field=models.ForeignKey(
                db_index=False,
                on_delete=smetabot.postgres.deletion.DB_CASCADE,
                related_name="clients",
                to="core.channel",
                verbose_name="channel",
            ),
        ),
        migrations.AlterField(
            model_name="client",
            name="full_name",
            field=models.CharField(blank=True, null=True, verbose_name="full name"),
        ),
        migrations.AlterField(
            model_name="client",
            name="invite",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=smetabot.postgres.deletion.DB_SET_NULL,
                related_name="clients",
                to="core.invite",
                verbose_name="invite",
            ),
        ),
        migrations.AlterField(
            model_name="client",
            name="joined_at",
            field=models.DateTimeField(db_default=smetabot.postgres.fields.TransactionNow(), verbose_name="joined at"),
        ),
        migrations.AlterField(
            model_name="client",
            name="username",
            field=models.CharField(blank=True, null=True, verbose_name="username"),
        ),
        migrations.AlterField(
            model_name="contractor",
            name="bonus_channels",
            field=models.IntegerField(
                blank=True,
                help_text="Channels granted on top of the plan's lifetime limit.",
                null=True,
                validators=[django.core.validators.MinValueValidator(0)],
                verbose_name="bonus channels",
            ),
        ),
        migrations.AlterField(
            model_name="contractor",
            name="created_at",
            field=models.DateTimeField(
                db_default=smetabot.postgres.fields.TransactionNow(), editable=False, verbose_name="created at"
            ),
        ),
        migrations.AlterField(
            model_name="contractor",
            name="full_name",
            field=models.CharField(blank=True, null=True, verbose_name="full name"),
        ),
        migrations.AlterField(
            model_name="contractor",
            name="status",
            field=models.CharField(
                choices=[("active", "Active"), ("blocked", "Blocked")], db_default="active", verbose_name="status"
            ),
        ),
        migrations.AlterField(
            model_name="contractor",
            name="username",
            field=models.CharField(blank=True, null=True, verbose_name="username"),
        ),
        migrations.AlterField(
            model_name="invite",
            name="channel",
            field=models.ForeignKey(
                db_index=False,
                on_delete=smetabot.postgres.deletion.DB_CASCADE,
                related_name="invites",
                to="core.channel",
                verbose_name="channel",
            ),
        ),
        migrations.AlterField(
            model_name="invite",
            name="created_at",
            field=models.DateTimeField(
                db_default=smetabot.postgres.fields.TransactionNow(), editable=False, verbose_name="created at"
            ),
        ),
        migrations.AlterField(
            model_name="invite",
            name="editable",
            field=models.BooleanField(db_default=True, verbose_name="editable"),
        ),
        migrations.AlterField(
            model_name="invite",
            name="expires_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="expires at"),
        ),
        migrations.AlterField(
            model_name="invite",
            name="max_uses",
            field=models.IntegerField(blank=True, null=True, verbose_name="max uses"),
        ),
        migrations.AlterField(
            model_name="invite",
            name="token",
            field=models.CharField(unique=True, verbose_name="token"),
        ),
        migrations.AlterField(
            model_name="invite",
            name="used_count",
            field=models.IntegerField(db_default=0, verbose_name="used count"),
        ),
        migrations.AlterField(
            model_name="publication",
            name="channel",
            field=models.ForeignKey(
                db_index=False,
                on_delete=smetabot.postgres.deletion.DB_CASCADE,
                related_name="publications",
                to="core.channel",
                verbose_name="channel",
            ),
        ),
        migrations.AlterField(
            model_name="publication",
            name="deleted",
            field=models.BooleanField(db_default=False, verbose_name="deleted"),
        ),
        migrations.AlterField(
            model_name="publication",
            name="file_name",
            field=models.CharField(blank=True, null=True, verbose_name="file name"),
        ),
        migrations.AlterField(
            model_name="publication",
            name="file_type",
            field=models.CharField(blank=True, null=True, verbose_name="file type"),
        ),
        migrations.AlterField(
            model_name="publication",
            name="message_id",
            field=models.BigIntegerField(verbose_name="message id"),
        ),
        migrations.AlterField(
            model_name="publication",
            name="posted_at",
            field=models.DateTimeField(db_default=smetabot.postgres.fields.TransactionNow(), verbose_name="posted at"),
        ),
        migrations.AlterField(
            model_name="publication",
            name="views",
            field=models.IntegerField(db_default=0, verbose_name="views"),
        ),
        migrations.AlterField(
            model_name="teammember",
            name="added_at",
            field=models.DateTimeField(
                db_default=smetabot.postgres.fields.TransactionNow(), editable=False, verbose_name="added at"
            ),
        ),
        migrations.AlterField(
            model_name="teammember",
            name="member_contractor",
            field=models.ForeignKey(
                on_delete=smetabot.postgres.deletion.DB_CASCADE,
                related_name="teams",
                to="core.contractor",
                verbose_name="member contractor",
            ),
        ),
        migrations.AlterField(
            model_name="teammember",
            name="owner_contractor",
            field=models.ForeignKey(
                db_index=False,
                on_delete=smetabot.postgres.deletion.DB_CASCADE,
                related_name="team",
                to="core.contractor",
                verbose_name="owner contractor",
            ),
        ),
    ]
