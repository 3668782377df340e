import tomllib
from pathlib import Path
from typing import NamedTuple

from faker import Faker

from smetabot.demo.chance import Chance

WORDS = tomllib.loads(Path(__file__).with_name("words.toml").read_text("utf-8"))
FILE_TYPES = {"xlsx": 40, "pdf": 30, "dwg": 12, "jpg": 12, "docx": 6}
LATIN = str.maketrans("абвгдеёзийклмнопрстуфыэ", "abvgdeeziyklmnoprstufye", "ъь'") | str.maketrans(
    {"ж": "zh", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "sch", "ю": "yu", "я": "ya"}
)


class Person(NamedTuple):
    tg_user_id: int
    full_name: str | None
    username: str | None


class Words:
    """What things are called: Russian mostly, English now and then."""

    # Faker takes its time, so it is asked for a pool of names and not for every row.
    RUSSIAN_MEN, RUSSIAN_WOMEN, OTHERS = 1200, 600, 300

    def __init__(self, chance: Chance) -> None:
        self.chance = chance
        # A Telegram id is one person's, and a username one person's or channel's.
        self.taken: set[int | str] = set()
        russian, english = Faker("ru_RU"), Faker("en_US")
        for faker in (russian, english):
            faker.seed_instance(chance.getrandbits(32))
        # Faker's first names for Russians are mostly out of chronicles.
        self.people = [
            *((chance.choice(WORDS["men"]), russian.last_name_male()) for _ in range(self.RUSSIAN_MEN)),
            *((chance.choice(WORDS["women"]), russian.last_name_female()) for _ in range(self.RUSSIAN_WOMEN)),
            *((english.first_name(), english.last_name()) for _ in range(self.OTHERS)),
        ]

    def person(self) -> Person:
        """As Telegram shows people: some hide their name, many have no username."""
        first, last = self.chance.choice(self.people)
        handle = f"{last}_{first[0]}".lower().translate(LATIN)
        return Person(
            tg_user_id=self._telegram_id(),
            full_name=f"{first} {last}" if self.chance.happens(0.97) else None,
            username=self._username(handle) if self.chance.happens(0.8) else None,
        )

    def channel_title(self) -> str:
        words, choice = WORDS["channels"], self.chance.choice
        title = choice(words["english_titles"] if self.chance.happens(0.12) else words["titles"])
        return title.format(
            street=choice(words["streets"]),
            complex=choice(words["complexes"]),
            english_street=choice(words["english_streets"]),
            number=self.chance.randint(1, 180),
        )

    def channel_username(self) -> str:
        return self._username(f"{self.chance.choice(WORDS['channels']['usernames'])}_")

    def file(self) -> tuple[str, str]:
        """A name and its type."""
        (file_type,) = self.chance.choices(list(FILE_TYPES), list(FILE_TYPES.values()))
        stem = self.chance.choice(WORDS["files"][file_type])
        return f"{stem}_v{self.chance.randint(1, 9)}.{file_type}", file_type

    def _telegram_id(self) -> int:
        number = self.chance.randrange(100_000_000, 7_500_000_000)
        while number in self.taken:
            number = self.chance.randrange(100_000_000, 7_500_000_000)
        self.taken.add(number)
        return number

    def _username(self, start: str) -> str:
        username = f"{start}{self.chance.randrange(10_000)}"
        while username in self.taken:
            username += str(self.chance.randrange(10))
        self.taken.add(username)
        return username
