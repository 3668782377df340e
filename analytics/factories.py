import factory
from django.conf import settings
from django.utils import timezone
from factory.django import DjangoModelFactory

from analytics.models import ChannelStats, Event, ViewsDaily
from core.factories import ChannelFactory, PublicationFactory


class ViewsDailyFactory(DjangoModelFactory[ViewsDaily]):
    class Meta:
        model = ViewsDaily

    publication = factory.SubFactory(PublicationFactory, views=factory.SelfAttribute("..views"))
    collected_at = factory.LazyFunction(lambda: timezone.now().astimezone(settings.DAY_ZONE).date())
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
