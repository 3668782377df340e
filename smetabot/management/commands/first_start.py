from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection, transaction

from adminlog import staff
from adminlog.jobs import OneLineCommand
from adminlog.roles import OWNER
from core.models import Contractor


class Command(OneLineCommand):
    help = "Give an empty embedded database the demo data and an owner's login; leave any other database alone."

    def handle(self, **options: Any) -> None:
        if not settings.DEVELOPMENT:
            return
        if not Contractor.objects.exists():
            call_command("seed_demo", stdout=self.stdout)
        with transaction.atomic():
            # Two first starts at once make one login.
            with connection.cursor() as cursor:
                cursor.execute("LOCK TABLE auth_user IN SHARE ROW EXCLUSIVE MODE")
            if not get_user_model().objects.exists():
                _, password = staff.add(username="owner", tg_user_id=1, role=OWNER, by=staff.system())
                # Said before the commit: a login whose password nobody saw would be worse than a password too many.
                self.stdout.write(f"Login owner, password {password} (shown only now)")
                self.stdout.flush()
