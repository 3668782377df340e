"""That what a list shows by its filters is what the file holds."""

import csv
from io import BytesIO

import pytest
from django.urls import reverse
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from openpyxl import load_workbook
from playwright.sync_api import expect

from adminlog.models import AdminAction
from adminlog.roles import OWNER
from billing.models import Gift


def rows_of_csv(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [tuple(row) for row in csv.reader(file)]


def rows_of_xlsx(path):
    return list(load_workbook(BytesIO(path.read_bytes())).active.iter_rows(values_only=True))


@pytest.mark.parametrize(
    ("button", "read"),
    [("CSV, for other programs", rows_of_csv), ("XLSX, for Excel", rows_of_xlsx)],
    ids=["csv", "xlsx"],
)
def test_a_list_is_downloaded_as_it_is_filtered(staff, button, read):
    page = staff(OWNER)
    page.goto(f"{reverse('admin:billing_gift_changelist')}?state=waiting")
    page.get_by_role("link", name=_("Export")).click()
    with page.expect_download() as download:
        page.get_by_role("button", name=_(button)).click()
    header, *rows = read(download.value.path())
    waiting = Gift.objects.pending()
    assert {int(row[header.index("id")]) for row in rows} == set(waiting.values_list("pk", flat=True))
    told = _("Done: the file is whole and among your downloads. Rows in it: {done}")
    expect(page.get_by_role("status")).to_have_text(told.replace("{done}", number_format(len(rows))))
    assert AdminAction.objects.latest("seq").payload["rows"] == len(rows)
