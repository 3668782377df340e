import os
import sys

from chaos.server import Server
from chaos.userbot import answer
from testbed.console import HinderedError, give_up
from testbed.stranger import Stranger

with Server() as server, Stranger(answer) as userbot:
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "smetabot.settings",
        "DATABASE_URL": server.url("smetabot"),
        "DEBUG": "1",
        # So that there is something to do for these jobs, too.
        "USERBOT_URL": userbot.url,
        "EVENTS_RETENTION_MONTHS": "1",
        "EVENTS_ARCHIVE": str(server.folder / "archive"),
    }

    import django

    django.setup()

    from chaos.run import main

    try:
        status = main(server)
    except HinderedError as error:
        status = give_up(error)
sys.exit(status)
