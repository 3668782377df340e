"""A database that is away for a while: the web says so and comes back by itself, cron says so in one line."""

import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from subprocess import DEVNULL, PIPE

from django.conf import settings
from django.db import connection

from chaos.databases import plain
from chaos.server import Server, end
from chaos.world import OWNER
from testbed.databases import url
from testbed.processes import BASE, HOST, free_port, gunicorn, manage, production, until


@dataclass
class Told:
    text: str = ""
    problems: list[str] = field(default_factory=list)

    def expect(self, what: str, is_so: bool) -> None:
        if not is_so:
            self.problems.append(f"away: {what}")


def away(server: Server, *, seconds: float) -> Told:
    told, port = Told(), free_port()
    web = start(*gunicorn(port, "--workers", "1"))
    held = plain()
    try:
        until(lambda: get(port)[0] == 200, "the web answers")
        # It holds whom the job needs, so that the job is in the middle when the server goes.
        held.execute("BEGIN")
        held.execute("SELECT FROM core.contractors FOR UPDATE")
        caught = start(*manage("apply_gifts"))
        until(waits_for_lock, "the job waits")
        connection.close()
        server.stop()
        stopped = time.monotonic()
        status, page = get(port)
        told.expect(f"the web answered {status}: {page[:2000]}", status == 503)
        told.expect("its page is not plain", "<" in page and "Traceback" not in page and len(page) < 20_000)
        out, err = caught.communicate(timeout=60)
        told.expect(f"the job in the middle ended with {caught.returncode}: {err}", caught.returncode == 2)
        told.expect(f"the job in the middle said {err!r}", one_line(out, err))
        job = start(*manage("apply_gifts"))
        out, err = job.communicate(timeout=60)
        told.expect(f"a job ended with {job.returncode}", job.returncode == 2)
        told.expect(f"a job said {err!r}", one_line(out, err))
        asked = 1
        while time.monotonic() - stopped < seconds:
            status, _ = get(port)
            asked += 1
            told.expect(f"the web answered {status} after {time.monotonic() - stopped:.0f} s", status == 503)
            time.sleep(min(1, seconds / 10))
        server.start()
        back = time.monotonic()
        until(lambda: get(port)[0] == 200, "the web recovers")
        recovered = time.monotonic() - back
        job = start(*manage("apply_gifts"))
        out, err = job.communicate(timeout=60)
        told.expect(f"a job does not recover: {err}", job.returncode == 0)
    finally:
        held.close()
        end(web)
    told.text = (
        f"Without a database for {seconds:.0f} seconds the web answered 503 to all of {asked} requests and 200 again"
        f" {recovered:.1f} seconds after the server was back, by itself; a job that began meanwhile, and one that was"
        " in the middle, said so in one line and ended with 2."
    )
    return told


def one_line(out: str, err: str) -> bool:
    return out == "" and err.count("\n") == 1 and "Traceback" not in err


def start(*command: str) -> "subprocess.Popen[str]":
    # So that the session of the world is known.
    variables = production(url(), SECRET_KEY=settings.SECRET_KEY, SECOND_FACTOR="none")
    return subprocess.Popen(command, cwd=BASE, env=variables, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, text=True)


def get(port: int) -> tuple[int, str]:
    """0 while nobody answers."""
    # As the proxy in front asks for a member of staff.
    headers = {"Cookie": f"__Host-sessionid={OWNER}", "X-Forwarded-Proto": "https", "Host": HOST}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/admin/billing/plan/", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return (response.status if response.url == request.full_url else 302), response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def waits_for_lock() -> bool:
    with plain() as desk:
        return bool(
            desk.execute(
                "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            ).rowcount
        )
