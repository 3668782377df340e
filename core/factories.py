import factory
from factory.django import DjangoModelFactory

from core.models import Channel, Client, Contractor, Invite, Publication, TeamMember


class ContractorFactory(DjangoModelFactory[Contractor]):
    class Meta:
        model = Contractor

    class Params:
        blocked = factory.Trait(status=Contractor.Status.BLOCKED)

    tg_user_id = factory.Sequence(lambda n: 500_000_000 + n)
    username = factory.Sequence(lambda n: f"smeta_{n}")
    full_name = factory.Faker("name", locale="ru_RU")


class ChannelFactory(DjangoModelFactory[Channel]):
    class Meta:
        model = Channel

    contractor = factory.SubFactory(ContractorFactory)
    tg_chat_id = factory.Sequence(lambda n: -1_001_000_000_000 - n)
    title = factory.Sequence(lambda n: f"Объект: Лесная {n + 1}")


class PublicationFactory(DjangoModelFactory[Publication]):
    class Meta:
        model = Publication

    channel = factory.SubFactory(ChannelFactory)
    message_id = factory.Sequence(lambda n: n + 1)
    file_name = factory.Sequence(lambda n: f"Смета_кухня_v{n + 1}.xlsx")
    file_type = "xlsx"


class InviteFactory(DjangoModelFactory[Invite]):
    class Meta:
        model = Invite

    class Params:
        switched_off = factory.Trait(max_uses=5, used_count=5)

    channel = factory.SubFactory(ChannelFactory)
    token = factory.Sequence(lambda n: f"invite-{n}")


class ClientFactory(DjangoModelFactory[Client]):
    class Meta:
        model = Client

    channel = factory.SubFactory(ChannelFactory)
    tg_user_id = factory.Sequence(lambda n: 700_000_000 + n)
    username = factory.Sequence(lambda n: f"client_{n}")
    full_name = factory.Faker("name", locale="ru_RU")


class TeamMemberFactory(DjangoModelFactory[TeamMember]):
    class Meta:
        model = TeamMember

    owner_contractor = factory.SubFactory(ContractorFactory)
    member_contractor = factory.SubFactory(ContractorFactory)
