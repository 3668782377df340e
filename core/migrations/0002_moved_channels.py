from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("core", "0001_tables"),
    ]

    operations = [
        migrations.AddField(
            model_name="channel",
            name="moved_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
    ]
