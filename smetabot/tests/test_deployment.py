"""deploy/ and its page against the settings. `make deploy-test` runs them."""

import os
import re
import runpy
import shutil
import subprocess
from typing import Any

import pytest
from django.conf import settings
from django.core.management import get_commands

from smetabot.database_roles import ROLES

DEPLOY = settings.BASE_DIR / "deploy"
UNITS = DEPLOY / "systemd"
PAGE = (settings.BASE_DIR / "docs/deployment.md").read_text()
PROCESSES = {"web": "smetabot_web", "cron": "smetabot_cron", "partitions": "smetabot_partitions", "owner": "smetabot"}


def variables(process: str) -> dict[str, str]:
    names = ["common", *(["cron"] if process == "partitions" else []), process]
    texts = [(DEPLOY / f"env/{name}.env").read_text() for name in names]
    return dict(re.findall(r"^([A-Z_]+)=(.*)$", "\n".join(texts), re.M))


def settings_of(process: str, monkeypatch: pytest.MonkeyPatch, **more: str) -> dict[str, Any]:
    for name in settings.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in (variables(process) | more).items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(settings.BASE_DIR / "smetabot/settings.py"))


def calendar(cron: str) -> str:
    """As systemd writes it: of cron's language what our jobs use."""
    minute, hour, *rest = cron.split()
    assert rest == ["*", "*", "*"]
    hour = hour if hour == "*" else f"{int(hour):02}"
    every = re.fullmatch(r"\*/(\d+)", minute)
    return f"*-*-* {hour}:{f'00/{every[1]}' if every else f'{int(minute):02}'}:00"


def test_each_job_has_a_timer_at_its_time(monkeypatch):
    found = settings_of("cron", monkeypatch, USERBOT_URL="http://127.0.0.1:1")
    times = {arguments[0]: calendar(cron) for cron, _, arguments in found["CRONJOBS"]}
    timers = {
        path.stem.removeprefix("smetabot-job@"): re.findall(r"^OnCalendar=(.*)$", path.read_text(), re.M)
        for path in UNITS.glob("*.timer")
    }
    assert timers == {command: [time] for command, time in times.items()}


@pytest.mark.parametrize("process", PROCESSES)
def test_each_process_has_its_variables_and_its_role(process, monkeypatch):
    found = settings_of(process, monkeypatch)
    assert not variables(process).keys() - set(settings.VARIABLES)
    database = found["DATABASES"]["default"]
    assert (found["PRODUCTION"], database["USER"]) == (True, PROCESSES[process])
    assert found["POOLED"] == (process == "web") == (database["PORT"] == 6432)
    assert database["USER"] in [*ROLES, "smetabot"]


def test_the_rules_of_the_business_are_the_same_for_all_processes():
    own = {process: variables(process).keys() - variables("common").keys() for process in PROCESSES}
    assert set().union(*own.values()) == {"DATABASE_URL", "POOLED"}


TOLD = {
    # One that is started again for ever never counts as failed, and its OnFailure= would not be looked at.
    "smetabot-web.service": 'ExecStopPost=+/bin/sh -c \'[ "$$SERVICE_RESULT" = success ] || '
    "systemctl start --no-block smetabot-failed@%n.service'",
    "smetabot-job@.service": "OnFailure=smetabot-failed@%n.service",
}


@pytest.mark.parametrize("unit", TOLD)
def test_a_service_says_when_it_fails_and_may_do_little(unit):
    said = (UNITS / unit).read_text().splitlines()
    assert TOLD[unit] in said
    assert ("Restart=always" in said) == ("OnFailure=smetabot-failed@%n.service" not in said)
    assert {"NoNewPrivileges=yes", "CapabilityBoundingSet=", "ProtectSystem=strict", "ProtectHome=yes"} <= set(said)


def test_what_units_name_is_there():
    text = "\n".join(path.read_text() for path in UNITS.rglob("*") if path.is_file())
    for name in re.findall(r"^EnvironmentFile=/etc/smetabot/(.*)$", text, re.M):
        assert (DEPLOY / "env" / name).exists()
    for name in re.findall(r"(smetabot-failed)@%n", text):
        assert (UNITS / f"{name}@.service").exists()
    for command in (path.name for path in UNITS.glob("*@*.service.d")):
        assert re.match(r"smetabot-job@(\w+)", command)[1] in get_commands()


def test_a_folder_of_state_has_one_account():
    owners = [path for path in UNITS.rglob("*") if path.is_file() and "StateDirectory=smetabot" in path.read_text()]
    assert [re.findall("^User=(.*)$", path.read_text(), re.M) for path in owners] == [["smetabot-partitions"]]


def test_each_account_of_a_unit_is_made():
    made = re.search(r"^for account in (.*); do$", PAGE, re.M)[1].split()
    text = "\n".join(path.read_text() for path in UNITS.rglob("*") if path.is_file())
    assert set(re.findall("^User=(.*)$", text, re.M)) == set(made)


def test_what_the_page_names_is_there():
    assert not [name for name in re.findall(r"deploy/[\w./]+\w", PAGE) if not (settings.BASE_DIR / name).exists()]
    assert set(re.findall(r"deploy/manage \w+ ([a-z_]+)", PAGE)) <= get_commands().keys()


@pytest.mark.skipif(not (shutil.which("nginx") and shutil.which("openssl")), reason="there is no nginx")
def test_nginx_takes_its_configuration(tmp_path):
    subprocess.run(
        "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -keyout privkey.pem -out fullchain.pem",
        shell=True, cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    site = (DEPLOY / "nginx.conf").read_text()
    site = site.replace("/etc/letsencrypt/live/office.example.com", str(tmp_path)).replace("/var/log/nginx", "/dev")
    (tmp_path / "nginx.conf").write_text(f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{\n{site}\n}}\n")
    asked = ["nginx", "-t", "-q", "-e", "stderr", "-c", tmp_path / "nginx.conf"]
    path = os.environ["PATH"] + ":/usr/sbin"
    done = subprocess.run(asked, env={"PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
