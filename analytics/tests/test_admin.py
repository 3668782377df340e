import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from analytics.admin import ViewsDailyInline
from analytics.models import ViewsDaily
from core.factories import PublicationFactory

pytestmark = pytest.mark.django_db
DAY = dt.date(2026, 1, 31)


def test_a_publication_shows_its_daily_views_newest_first_a_page_at_a_time(anna):
    publication = PublicationFactory(views=400)
    address = reverse("admin:core_publication_change", args=[publication.pk])
    ViewsDaily.objects.create(publication=publication, collected_at=DAY, views=1)
    anna.get(address)  # Django remembers content types from here on
    with CaptureQueriesContext(connection) as one:
        anna.get(address)
    ViewsDaily.objects.bulk_create(
        ViewsDaily(publication=publication, collected_at=DAY + dt.timedelta(days=n), views=n) for n in range(1, 400)
    )

    with CaptureQueriesContext(connection) as many:
        formset = anna.get(address).context["inline_admin_formsets"][0].formset

    days = [form.instance.collected_at for form in formset.forms]
    assert days == [DAY + dt.timedelta(days=399 - n) for n in range(ViewsDailyInline.per_page)]
    assert len(many) == len(one)


def test_daily_views_cannot_be_written(anna):
    publication = PublicationFactory()
    address = reverse("admin:core_publication_change", args=[publication.pk])
    assert anna.post(address, {"views_daily-TOTAL_FORMS": 1, "views_daily-INITIAL_FORMS": 0}).status_code == 403
