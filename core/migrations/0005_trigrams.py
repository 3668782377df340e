from django.db import migrations, models

from smetabot.postgres.indexes import AddIndexBeside, AddTrigramIndex


class Migration(migrations.Migration):
    """A part of a name is found at once, however many names there are; and so are the few of a filter.

    Those few cost the bot nothing: a row that it inserts is not in their indexes.
    """

    atomic = False

    dependencies = [("core", "0004_clients_found")]

    operations = [
        AddTrigramIndex("Contractor", ["username", "full_name"], name="contractors_trigrams"),
        AddTrigramIndex("Channel", ["username", "title"], name="channels_trigrams"),
        AddTrigramIndex("Publication", ["file_name"], name="publications_trigrams"),
        AddTrigramIndex("Invite", ["token"], name="invites_trigrams"),
        AddTrigramIndex("Client", ["username", "full_name"], name="clients_trigrams"),
        AddIndexBeside("Publication", models.Index(fields=["message_id"], name="publications_message")),
        AddIndexBeside(
            "Publication",
            models.Index(fields=["id"], condition=models.Q(deleted=True), name="publications_deleted"),
        ),
        AddIndexBeside(
            "Invite", models.Index(fields=["id"], condition=models.Q(editable=False), name="invites_not_editable")
        ),
        AddIndexBeside("Client", models.Index(fields=["id"], condition=models.Q(blocked=True), name="clients_blocked")),
    ]
