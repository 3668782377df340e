import factory
from factory.django import DjangoModelFactory

from core.factories import ContractorFactory
from referrals.models import Referral, ReferralCycle, ReferralLink


class ReferralLinkFactory(DjangoModelFactory[ReferralLink]):
    class Meta:
        model = ReferralLink

    contractor = factory.SubFactory(ContractorFactory)
    token = factory.Sequence(lambda n: f"ref-{n}")


class ReferralFactory(DjangoModelFactory[Referral]):
    class Meta:
        model = Referral

    referrer = factory.SubFactory(ContractorFactory)
    referred_contractor = factory.SubFactory(ContractorFactory)


class ReferralCycleFactory(DjangoModelFactory[ReferralCycle]):
    class Meta:
        model = ReferralCycle

    referrer = factory.SubFactory(ContractorFactory)
    cycle_no = 1
