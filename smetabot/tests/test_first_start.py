import re

import pytest


@pytest.fixture
def start(python):
    """What `make run` does before it serves."""

    def run():
        assert python("manage.py", "migrate", "--verbosity", "0").returncode == 0
        result = python("manage.py", "first_start")
        assert (result.returncode, result.stderr) == (0, ""), result
        return result.stdout

    return run


def test_an_empty_embedded_database_gets_demo_data_and_one_login_that_works(start, python):
    first, second = start(), start()
    (password,) = re.findall(r"Login owner, password (\S+)", first)
    assert second == ""
    code = f"""
import django; django.setup()
from django.contrib.auth import authenticate, get_user_model
from django.http import HttpRequest
from core.models import Contractor
login = authenticate(HttpRequest(), username="owner", password="{password}")
print(Contractor.objects.count(), get_user_model().objects.count(), login.admin_user.role, login.is_superuser)
"""
    assert python("-c", code).stdout == "200 1 owner False\n"


@pytest.mark.django_db(transaction=True)
def test_any_other_database_is_left_alone(manage, django_user_model):
    out, err = (run := manage("first_start")).communicate(timeout=60)
    assert (run.returncode, out, err) == (0, "", "")
    assert not django_user_model.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_owner_is_added_when_asked_for(typed, client):
    _, out, _ = typed("add_admin", "anna", "--role", "owner", "--tg-user-id", "5")
    (password,) = re.findall(r"Login anna, password (\S+)", out)
    client.post("/admin/login/", {"username": "anna", "password": password})
    assert client.get("/admin/").status_code == 200
