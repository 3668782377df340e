from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from smetabot.backoffice.apps import load_pages
from smetabot.probes import healthz, readyz

load_pages()

handler400 = "smetabot.outage.without_session"
handler500 = "smetabot.outage.refuse"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
]
