import datetime as dt

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from billing.models import Gift, Plan, Subscription, SubscriptionHistory, SubscriptionTerms, UsageCounter
from core.factories import ContractorFactory

# Plans are there after migrate; a factory only points to one, by the parameter `code`.
plan_by_code = factory.LazyAttribute(lambda made: Plan.objects.get(code=made.code))


class TermsFactory(DjangoModelFactory):
    """Without parameters what the bot gives a new contractor: FREE, active, endless. `days` counts from starts_at."""

    class Meta:
        abstract = True

    class Params:
        code = Plan.Code.FREE
        days: int | None = None
        pro = factory.Trait(code=Plan.Code.PRO, days=30)
        business = factory.Trait(code=Plan.Code.BUSINESS, days=30)
        expired = factory.Trait(
            status=SubscriptionTerms.Status.EXPIRED,
            starts_at=factory.LazyFunction(lambda: timezone.now() - dt.timedelta(days=60)),
            days=30,
        )

    contractor = factory.SubFactory(ContractorFactory)
    plan = plan_by_code
    status = SubscriptionTerms.Status.ACTIVE
    starts_at = factory.LazyFunction(timezone.now)
    expires_at = factory.LazyAttribute(
        lambda terms: terms.starts_at + dt.timedelta(days=terms.days) if terms.days else None
    )


class SubscriptionFactory(TermsFactory):
    class Meta:
        model = Subscription

    class Params:
        gift = factory.Trait(source=Subscription.Source.GIFT)

    source = Subscription.Source.PAID


class SubscriptionHistoryFactory(TermsFactory):
    class Meta:
        model = SubscriptionHistory

    source = SubscriptionHistory.Source.TRIAL


class GiftFactory(DjangoModelFactory[Gift]):
    """Pending, unless applied_at is given or `withdrawn` is asked for."""

    class Meta:
        model = Gift

    class Params:
        code = Plan.Code.PRO
        withdrawn = factory.Trait(withdrawn_at=factory.LazyFunction(timezone.now))

    contractor = factory.SubFactory(ContractorFactory)
    plan = plan_by_code
    days = 30
    reason = Gift.Reason.ADMIN_GRANT


class UsageCounterFactory(DjangoModelFactory[UsageCounter]):
    class Meta:
        model = UsageCounter

    contractor = factory.SubFactory(ContractorFactory)
    channels_created_total = 0
