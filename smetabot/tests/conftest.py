import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings

from smetabot.postgres.embedded import Cluster, default_base

CODE = ["adminlog", "analytics", "billing", "core", "referrals", "smetabot", "manage.py"]


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """A checkout of its own, without variables and `.env`, at a path that a shell and cron would trip over."""
    root = tmp_path / "my 100% project"
    root.mkdir()
    for name in CODE:
        source = settings.BASE_DIR / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__", "tests"))
        else:
            shutil.copy(source, root)
    yield root
    Cluster(default_base(root)).stop()
    shutil.rmtree(default_base(root), ignore_errors=True)


@pytest.fixture
def python(checkout: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Runs Python in that checkout, in an environment with the given variables and no others of ours."""

    def run(*args: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        env = {"PATH": os.environ["PATH"], "HOME": str(checkout), "DJANGO_SETTINGS_MODULE": "smetabot.settings"}
        return subprocess.run(
            [sys.executable, *args], cwd=checkout, env=env | variables, capture_output=True, text=True, timeout=60
        )

    return run
