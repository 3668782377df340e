from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("adminlog", "0009_names"),
    ]

    operations = []
