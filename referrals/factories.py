from typing import Any

import factory
from factory.django import DjangoModelFactory

from core.factories import ChannelFactory, ContractorFactory
from referrals.models import Referral, ReferralCycle, ReferralLink


class ReferralLinkFactory(DjangoModelFactory[ReferralLink]):
    class Meta:
        model = ReferralLink

    contractor = factory.SubFactory(ContractorFactory)
    token = factory.Sequence(lambda n: f"ref-{n}")


class ReferralFactory(DjangoModelFactory[Referral]):
    """`channels=2` gives the referred contractor so many."""

    class Meta:
        model = Referral
        skip_postgeneration_save = True

    referrer = factory.SubFactory(ContractorFactory)
    referred_contractor = factory.SubFactory(ContractorFactory)

    @factory.post_generation
    def channels(self: Any, create: bool, count: int | None, **kwargs: Any) -> None:
        ChannelFactory.create_batch(count or 0, contractor=self.referred_contractor)


class ReferralCycleFactory(DjangoModelFactory[ReferralCycle]):
    class Meta:
        model = ReferralCycle

    referrer = factory.SubFactory(ContractorFactory)
    cycle_no = 1
