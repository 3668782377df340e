"""Links into Telegram, as people paste them."""

import re
from urllib.parse import parse_qs, unquote, urlsplit

HOST = re.compile(r"(?:www\.)?(?:(?P<name>\w+)\.)?(?:t\.me|telegram\.(?:me|dog))", re.IGNORECASE | re.ASCII)
WEB = re.compile(r"web\.telegram\.org", re.IGNORECASE)
# What a bot is started with is about somebody else than the bot.
STARTS = ["start", "startapp", "startgroup", "startchannel"]


def meant_by(link: str) -> str | None:
    """The @username, id or token that a link is about; None for what is none."""
    if "\0" in unquote(link):
        # Nobody is called that: PostgreSQL does not store it.
        return None
    try:
        parts = urlsplit(link if re.match(r"(https?|tg):", link, re.IGNORECASE) else f"https://{link}")
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        host = parts.hostname or ""
    except ValueError:
        return None
    if parts.scheme == "tg":
        return meant_by_app(asked)
    if WEB.fullmatch(host):
        return parts.fragment if re.fullmatch(r"@\w+|-?[0-9]+", parts.fragment, re.ASCII) else None
    if not (ours := HOST.fullmatch(host)):
        return None
    if started := started_with(asked):
        return started
    [first, second, *_] = [*filter(None, unquote(parts.path).split("/")), "", ""]
    if first.startswith("+"):
        return first[1:] or None
    match first.lower():
        case "joinchat":
            return second or None
        case "c":
            return f"-100{second}" if re.fullmatch("[0-9]+", second) else None
        case "s" if second:
            first = second
    name = ours["name"] or first.removeprefix("@")
    return f"@{name}" if name else None


def id_in(text: str) -> str | None:
    """A person's id as people paste it: 123 456 789, ID: 123456789, user:123456789, a link that holds it. Not a
    phone's number, with its plus."""
    bare = re.sub(r"[\s'\u200b\u200e\u200f]|(?<=\d)[.,](?=\d{3}(\D|$))", "", meant_by(text) or text)
    found = re.fullmatch(r"(?:(?:tg|telegram|user)?id[:=#]?|user[:=#])?(\d+)", bare, re.ASCII | re.IGNORECASE)
    return found and found[1]


def meant_by_app(asked: dict[str, str]) -> str | None:
    if found := started_with(asked) or asked.get("invite") or asked.get("id") or asked.get("user_id"):
        return found
    if channel := asked.get("channel"):
        return f"-100{channel}"
    return f"@{asked['domain']}" if asked.get("domain") else None


def started_with(asked: dict[str, str]) -> str | None:
    return next((asked[name] for name in STARTS if asked.get(name)), None)


def chat_ids(number: int) -> list[int]:
    """A channel's id begins with -100, but not everywhere that one copies it from."""
    ids = [number, -abs(number), int(f"-100{abs(number)}")]
    return [each for each in ids if abs(each) < 2**63]
