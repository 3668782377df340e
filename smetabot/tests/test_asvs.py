"""docs/asvs.md names tests and documents: they are there."""

import ast
import re

import pytest
from django.conf import settings

TEXT = (settings.BASE_DIR / "docs" / "asvs.md").read_text("utf-8")


@pytest.mark.parametrize("path", sorted({path for path, _ in re.findall(r"`([\w/.]+)::(\w+)`", TEXT)}))
def test_every_test_that_proves_something_exists(path):
    tree = ast.parse((settings.BASE_DIR / path).read_text("utf-8"))
    there = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert {name for where, name in re.findall(r"`([\w/.]+)::(\w+)`", TEXT) if where == path} - there == set()


def test_every_document_exists():
    named = {name for name in re.findall(r"\]\(([^)]+)\)", TEXT) if "://" not in name}
    assert {name for name in named if not (settings.BASE_DIR / "docs" / name).exists()} == set()


def test_no_requirement_is_met_twice_or_without_a_proof():
    met, _, rest = TEXT.partition("## Met")[2].partition("## Not met")
    rows = [line.strip("| ").split(" | ") for line in met.splitlines() if re.match(r"\| \d", line)]
    numbers = [row[0] for row in rows] + re.findall(r"^\| (\d+\.\d+\.\d+) ", rest, flags=re.MULTILINE)
    assert len(numbers) == len(set(numbers)) > 100
    assert [row[0] for row in rows if len(row) != 4 or not re.search(r"::test_|\]\(|^by design$", row[3])] == []
