import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from adminlog.days import day_of
from analytics.models import ChannelDaily, ChannelStats, DailyTotals, Event, SuspectReading, ViewsDaily
from core.factories import ChannelFactory, PublicationFactory


class ViewsDailyFactory(DjangoModelFactory[ViewsDaily]):
    class Meta:
        model = ViewsDaily

    publication = factory.SubFactory(PublicationFactory, views=factory.SelfAttribute("..views"))
    collected_at = factory.LazyFunction(lambda: day_of(timezone.now()))
    views = 10


class ChannelStatsFactory(DjangoModelFactory[ChannelStats]):
    class Meta:
        model = ChannelStats

    channel = factory.SubFactory(ChannelFactory)


class EventFactory(DjangoModelFactory[Event]):
    class Meta:
        model = Event

    channel = factory.SubFactory(ChannelFactory)
    event_type = Event.Type.SYNC_RUN


class ChannelDailyFactory(DjangoModelFactory[ChannelDaily]):
    class Meta:
        model = ChannelDaily

    channel = factory.SubFactory(ChannelFactory)


class DailyTotalsFactory(DjangoModelFactory[DailyTotals]):
    class Meta:
        model = DailyTotals

    collected = True


class SuspectReadingFactory(DjangoModelFactory[SuspectReading]):
    class Meta:
        model = SuspectReading

    publication = factory.SubFactory(PublicationFactory)
    read_at = factory.LazyFunction(timezone.now)
    views = 10
    against_views = 20
    against_day = factory.LazyAttribute(lambda reading: day_of(reading.read_at))
    source = "userbot"
