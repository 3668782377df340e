from decimal import Decimal
from typing import Any

from django.apps.registry import Apps
from django.apps.registry import apps as installed_apps

# What a fresh database starts with. Afterwards the rows are the operator's.
PLANS: list[dict[str, Any]] = [
    {
        "code": "FREE",
        "name": "Free",
        "price_month": None,
        "features": {"can_edit_channel": False, "can_sync": False, "team_size": 1, "crm": False},
        "channels_limit_one_off": 5,
    },
    {
        "code": "PRO",
        "name": "Pro",
        "price_month": Decimal("590.00"),
        "features": {"can_edit_channel": True, "can_sync": True, "team_size": 1, "crm": False},
        "channels_limit_one_off": None,
    },
    {
        "code": "BUSINESS",
        "name": "Business",
        "price_month": Decimal("1490.00"),
        "features": {"can_edit_channel": True, "can_sync": True, "team_size": 4, "crm": True},
        "channels_limit_one_off": None,
    },
]


def ensure_plans(*, using: str, apps: Apps = installed_apps, **kwargs: object) -> None:
    """Receiver of post_migrate, which a test's flush sends as well: makes the plans that are not there."""
    try:
        plan_model = apps.get_model("billing", "Plan")
    except LookupError:  # migrated to zero
        return
    plan_model._default_manager.using(using).bulk_create([plan_model(**plan) for plan in PLANS], ignore_conflicts=True)
