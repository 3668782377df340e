import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smetabot.settings")
application = get_wsgi_application()

from django.conf import settings  # noqa: E402
from django.db import connections  # noqa: E402

# With it come the pages, here and not in the first request.
import smetabot.urls  # noqa: E402, F401
from smetabot.postgres.kept import kept  # noqa: E402

# The development server has a thread for each request, and what a thread keeps ends with it.
if settings.PRODUCTION:
    connections.settings["default"].update(kept(connections.settings["default"]))
