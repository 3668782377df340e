import django.core.validators
from django.db import migrations, models

import smetabot.postgres.deletion
import smetabot.postgres.fields


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Contractor",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("tg_user_id", models.BigIntegerField(blank=True, null=True, unique=True, verbose_name="Telegram id")),
                ("username", models.CharField(blank=True, null=True)),
                ("full_name", models.CharField(blank=True, null=True)),
                (
                    "status",
                    models.CharField(choices=[("active", "Active"), ("blocked", "Blocked")], db_default="active"),
                ),
                (
                    "created_at",
                    models.DateTimeField(db_default=smetabot.postgres.fields.TransactionNow(), editable=False),
                ),
                (
                    "bonus_channels",
                    models.IntegerField(
                        blank=True,
                        help_text="Channels granted on top of the plan's lifetime limit.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(0)],
                    ),
                ),
            ],
            options={
                "db_table": 'core"."contractors',
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["active", "blocked"])), name="contractors_status_valid"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Channel",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "contractor",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=smetabot.postgres.deletion.DB_CASCADE,
                        related_name="channels",
                        to="core.contractor",
                    ),
                ),
                ("tg_chat_id", models.BigIntegerField(unique=True, verbose_name="Telegram chat id")),
                ("title", models.CharField(blank=True, null=True)),
                ("username", models.CharField(blank=True, null=True)),
                ("created_by_bot", models.BooleanField(db_default=True)),
                ("synced", models.BooleanField(db_default=False)),
                ("last_synced_at", models.DateTimeField(blank=True, null=True)),
                (
                    "created_at",
                    models.DateTimeField(db_default=smetabot.postgres.fields.TransactionNow(), editable=False),
                ),
            ],
            options={
                "db_table": 'core"."channels',
            },
        ),
        migrations.CreateModel(
            name="Invite",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "channel",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=smetabot.postgres.deletion.DB_CASCADE,
                        related_name="invites",
                        to="core.channel",
                    ),
                ),
                ("token", models.CharField(unique=True)),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("max_uses", models.IntegerField(blank=True, null=True)),
                ("used_count", models.IntegerField(db_default=0)),
                ("editable", models.BooleanField(db_default=True)),
                (
                    "created_at",
                    models.DateTimeField(db_default=smetabot.postgres.fields.TransactionNow(), editable=False),
                ),
            ],
            options={
                "db_table": 'core"."invites',
            },
        ),
        migrations.CreateModel(
            name="Client",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "channel",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=smetabot.postgres.deletion.DB_CASCADE,
                        related_name="clients",
                        to="core.channel",
                    ),
                ),
                (
                    "invite",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=smetabot.postgres.deletion.DB_SET_NULL,
                        related_name="clients",
                        to="core.invite",
                    ),
                ),
                ("tg_user_id", models.BigIntegerField(blank=True, null=True, verbose_name="Telegram id")),
                ("username", models.CharField(blank=True, null=True)),
                ("full_name", models.CharField(blank=True, null=True)),
                ("joined_at", models.DateTimeField(db_default=smetabot.postgres.fields.TransactionNow())),
                ("blocked", models.BooleanField(db_default=False)),
            ],
            options={
                "db_table": 'core"."clients',
            },
        ),
        migrations.CreateModel(
            name="Publication",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "channel",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=smetabot.postgres.deletion.DB_CASCADE,
                        related_name="publications",
                        to="core.channel",
                    ),
                ),
                ("message_id", models.BigIntegerField()),
                ("file_name", models.CharField(blank=True, null=True)),
                ("file_type", models.CharField(blank=True, null=True)),
                ("views", models.IntegerField(db_default=0)),
                ("posted_at", models.DateTimeField(db_default=smetabot.postgres.fields.TransactionNow())),
                ("deleted", models.BooleanField(db_default=False)),
            ],
            options={
                "db_table": 'core"."publications',
            },
        ),
        migrations.CreateModel(
            name="TeamMember",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "owner_contractor",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=smetabot.postgres.deletion.DB_CASCADE,
                        related_name="team",
                        to="core.contractor",
                    ),
                ),
                (
                    "member_contractor",
                    models.ForeignKey(
                        on_delete=smetabot.postgres.deletion.DB_CASCADE, related_name="teams", to="core.contractor"
                    ),
                ),
                (
                    "added_at",
                    models.DateTimeField(db_default=smetabot.postgres.fields.TransactionNow(), editable=False),
                ),
            ],
            options={
                "db_table": 'core"."team_members',
            },
        ),
        migrations.AddIndex(
            model_name="channel",
            index=models.Index(fields=["contractor"], name="idx_channels_contractor"),
        ),
        migrations.AddIndex(
            model_name="invite",
            index=models.Index(fields=["channel"], name="idx_invites_channel"),
        ),
        migrations.AddConstraint(
            model_name="invite",
            constraint=models.CheckConstraint(
                condition=models.Q(("used_count__gte", 0)), name="invites_used_count_not_negative"
            ),
        ),
        migrations.AddConstraint(
            model_name="invite",
            constraint=models.CheckConstraint(
                condition=models.Q(("max_uses__gt", 0)), name="invites_max_uses_positive"
            ),
        ),
        migrations.AddIndex(
            model_name="client",
            index=models.Index(fields=["channel"], name="idx_clients_channel"),
        ),
        migrations.AddIndex(
            model_name="client",
            index=models.Index(fields=["invite"], name="idx_clients_invite"),
        ),
        migrations.AddConstraint(
            model_name="client",
            constraint=models.UniqueConstraint(fields=("channel", "tg_user_id"), name="clients_channel_tg_user_unique"),
        ),
        migrations.AddIndex(
            model_name="publication",
            index=smetabot.postgres.fields.LongNameIndex(
                models.F("channel"),
                models.OrderBy(models.F("posted_at"), descending=True),
                name="idx_publications_channel_posted",
            ),
        ),
        migrations.AddConstraint(
            model_name="publication",
            constraint=models.UniqueConstraint(
                fields=("channel", "message_id"), name="publications_channel_message_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="publication",
            constraint=models.CheckConstraint(
                condition=models.Q(("views__gte", 0)), name="publications_views_not_negative"
            ),
        ),
        migrations.AddConstraint(
            model_name="teammember",
            constraint=models.UniqueConstraint(
                fields=("owner_contractor", "member_contractor"), name="team_members_pair_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="teammember",
            constraint=models.CheckConstraint(
                condition=models.Q(("owner_contractor", models.F("member_contractor")), _negated=True),
                name="team_members_not_oneself",
                violation_error_message="A contractor cannot be a member of their own team.",
            ),
        ),
    ]
