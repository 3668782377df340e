from django.db import migrations, models
from django.db.models import Q

LANGUAGES = [("en", "English"), ("ru", "Русский")]


class Migration(migrations.Migration):
    dependencies = [
        ("adminlog", "0007_one_time_tokens"),
    ]

    operations = [
        migrations.AddField("adminuser", "language", models.CharField(null=True, blank=True, choices=LANGUAGES)),
        migrations.AddField("adminuser", "time_zone", models.CharField(null=True, blank=True)),
        migrations.AddConstraint(
            "adminuser",
            models.CheckConstraint(condition=Q(language__in=["en", "ru"]), name="admin_users_language_valid"),
        ),
    ]
