"""No secret is in what is logged, answered or kept, whatever fails."""

import os
import subprocess
import sys

import pytest
from django.conf import settings
from django.contrib.auth.models import User

from smetabot.postgres import programs
from smetabot.tests.door import PASSWORD, member, phone

pytestmark = pytest.mark.django_db(transaction=True)

SECRETS = {
    "SECRET_KEY": "key-0f-this-office-that-nobody-may-know-aaaaaaaaaaaaaaaaaaaaa",
    "DATABASE_URL": "dsn-s3cret",
    "USERBOT_URL": "us3rbot-s3cret",
    "ALERTS_BOT_TOKEN": "123456:AAE-t0ken-of-the-bot-that-tells-of-alerts_",
    "typed": "typ3d-by-mistake",
    "typed as a name": "pa55word-typed-as-a-name",
    "new": "n3w-password-of-anna",
    "invite": "t0ken-of-an-invite",
}

# In a process of its own, because the settings are those of production.
OFFICE = """
import sys
import django
django.setup()
from django.db import connection
from django.test import Client

password, code, typed, name, new, invite = sys.argv[1:]

def ask(method, path, *, of, **data):
    answer = getattr(of, method)("/admin/" + path, data, secure=True)
    print(answer.status_code, path, answer.content.decode() if not answer.streaming else "")

def run(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)

anna, boris = (Client(raise_request_exception=False, headers={"host": "office.example.com"}) for _ in range(2))
ask("post", "login/", of=anna, username="anna", password=typed)
ask("post", "login/", of=anna, username=name, password=typed)
ask("post", "login/", of=boris, username="boris", password=password)
ask("post", "login/code/", of=boris, code=code)
ask("post", "login/", of=anna, username="anna", password=password)
ask("post", "password_change/", of=anna, old_password=typed, new_password1=new, new_password2=new)
ask("get", "nowhere/", of=anna)
# The journal cannot be written, and then nothing can.
run("ALTER TABLE admin.action_details RENAME TO away")
run("ALTER TABLE core.contractors RENAME TO away")
ask("post", "login/", of=Client(raise_request_exception=False, headers={"host": "office.example.com"}),
    username="nobody", password=typed)
ask("post", "password_change/", of=anna, old_password=password, new_password1=new, new_password2=new)
ask("get", "core/contractor/", of=anna, q=invite)
run("ALTER TABLE admin.away RENAME TO action_details")
run("ALTER TABLE core.away RENAME TO contractors")
"""


@pytest.fixture
def production(test_database_url):
    secret_url = test_database_url.replace("@/", f":{SECRETS['DATABASE_URL']}@/", 1)
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "smetabot.settings",
        "DATABASE_URL": secret_url,
        "DEBUG": "0",
        "ALLOWED_HOSTS": "office.example.com",
        "SECRET_KEY": SECRETS["SECRET_KEY"],
        "SECOND_FACTOR": "none",
        "USERBOT_URL": f"http://anna:{SECRETS['USERBOT_URL']}@127.0.0.1:1/bot",
        "ALERTS_BOT_TOKEN": SECRETS["ALERTS_BOT_TOKEN"],
        "ALERTS_CHAT": "-100123",
        "ALERTS_API_URL": "http://127.0.0.1:1",
        "LOG_FORMAT": "json",
    }


def python(*arguments, env):
    ended = subprocess.run(
        [sys.executable, *arguments], cwd=settings.BASE_DIR, env=env, capture_output=True, text=True, timeout=60
    )
    return ended.stdout, ended.stderr


def found_in(text, *more):
    return [name for name, secret in [*SECRETS.items(), *((each, each) for each in more)] if secret in text]


def kept():
    """All that is in the database, as text."""
    return programs.run("pg_dump", "--data-only")


def test_what_fails_in_a_page_tells_no_secret_to_anybody(production):
    member()
    phone(member("boris"))
    # One in a million times it is right.
    code = "918273"
    typed = [PASSWORD, code, *(SECRETS[name] for name in ("typed", "typed as a name", "new", "invite"))]
    answers, log = python("-c", OFFICE, *typed, env=production)
    statuses = [line.split()[0] for line in answers.splitlines() if " login/" in line or " core/" in line]
    assert statuses[0] == "200" and "500" in statuses, (answers[-2000:], log[-2000:])
    assert "Traceback" in log and "Traceback" not in answers
    assert '"status": 500' in log or "Internal Server Error" in log
    # The page of the login keeps what was typed for a name, as any form does; the log and the database do not.
    assert [name for name in found_in(answers, PASSWORD, code) if name not in ("typed as a name", "invite")] == []
    assert found_in(log, PASSWORD, code) == []
    assert found_in(kept(), PASSWORD, code) == []
    assert User.objects.count() == 2


def test_a_job_that_fails_tells_no_secret_to_anybody(production):
    said = python("manage.py", "collect_views", env=production)
    said += python("manage.py", "watch_jobs", env=production)
    away = production["DATABASE_URL"].partition("@")[0] + "@127.0.0.1:1/nowhere"
    said += python("manage.py", "apply_gifts", env=production | {"DATABASE_URL": away})
    said += python("manage.py", "backup", "/proc/nowhere", env=production)
    text = "".join(said)
    assert "No database" in text and "no backup was made" in text
    assert found_in(text) == []
    everything = kept()
    assert "collect_views" in everything and "no backup was made" in everything
    assert found_in(everything) == []
