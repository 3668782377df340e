"""How gunicorn serves the back office: `gunicorn -c deploy/gunicorn.conf.py smetabot.wsgi`. What its command line has
wins, such as --bind."""

import os

from smetabot.settings import LOGGING as logconfig_dict  # noqa: F401

# Given by smetabot-web.socket when systemd starts it: connections wait in it through a restart.
bind = "unix:/run/smetabot/web.sock"

worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY") or min(os.cpu_count() or 1, 8) + 1)
# An export streams for minutes, and holds a thread and a connection of the database for so long.
threads = 8
# Of a worker that has stopped to turn, not of a request: a thread may take its time.
timeout = 30
# What is being answered, exports too, may come to its end before a worker is replaced or the service stops.
graceful_timeout = 120
# Nothing of a worker's memory grows for ever, and they do not all begin anew at once.
max_requests = 5000
max_requests_jitter = 1000
# Who asks and by which scheme the proxy says in headers that Django reads itself. Whoever comes in by the socket could
# say more to gunicorn, such as another path.
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""
control_socket_disable = True
# A heartbeat must not wait for a disk.
worker_tmp_dir = "/dev/shm"

# The line for each request is adminlog.requests', which knows who asked; here only the server's own news.
accesslog = None
