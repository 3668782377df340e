from django.contrib.postgres.indexes import HashIndex
from django.db import migrations, models
from django.db.models.functions import Upper


class Migration(migrations.Migration):
    """A client is found by id, @username and name, whatever their number."""

    dependencies = [
        ("core", "0003_names"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="client",
            index=models.Index(fields=["tg_user_id"], name="clients_tg_user"),
        ),
        migrations.AddIndex(
            model_name="client",
            index=HashIndex(
                Upper(models.Func("username", models.Value("ёЁ"), models.Value("еЕ"), function="translate")),
                name="clients_username_searched",
            ),
        ),
        migrations.AddIndex(
            model_name="client",
            index=HashIndex(
                Upper(models.Func("full_name", models.Value("ёЁ"), models.Value("еЕ"), function="translate")),
                name="clients_full_name_searched",
            ),
        ),
    ]
