import os
import sys

from chaos.server import Server
from chaos.userbot import Userbot

with Server() as server, Userbot() as userbot:
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "smetabot.settings",
        "DATABASE_URL": server.url("smetabot"),
        "DEBUG": "1",
        # So that there is something to do for these jobs, too.
        "USERBOT_URL": userbot,
        "EVENTS_RETENTION_MONTHS": "1",
        "EVENTS_ARCHIVE": str(server.folder / "archive"),
    }

    import django

    django.setup()

    from chaos.run import main

    status = main(server)
sys.exit(status)
