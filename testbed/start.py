import os
import sys
from importlib import import_module
from typing import NoReturn

import django


def start(module: str) -> NoReturn:
    """Runs its main(), whose imports need the product's settings."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smetabot.settings")
    django.setup()
    sys.exit(import_module(module).main())
