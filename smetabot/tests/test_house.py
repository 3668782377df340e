"""The order of the house: who may import whom."""

import ast

import pytest
from django.conf import settings

MAY_IMPORT = {
    "adminlog": {"adminlog"},
    "core": {"core", "adminlog"},
    "billing": {"billing", "core", "adminlog"},
    "analytics": {"analytics", "core", "adminlog"},
    "referrals": {"referrals", "billing", "core", "adminlog"},
    "smetabot/postgres": set(),
}
OURS = {"adminlog", "core", "billing", "analytics", "referrals", "smetabot"}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_nothing_imports_upward(package):
    upward = [
        (str(path.relative_to(settings.BASE_DIR)), module)
        for path in (settings.BASE_DIR / package).rglob("*.py")
        if "tests" not in path.parts
        for module in imported(path)
        if module.partition(".")[0] in OURS - MAY_IMPORT[package] and not module.startswith("smetabot.postgres")
    ]
    assert upward == []
