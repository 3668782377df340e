"""What people know a contractor by, and a client."""

NAMES = ["tg_user_id", "username", "full_name"]


def along(*paths: str) -> list[str]:
    """The same, to search by from elsewhere."""
    return [f"{path}__{name}" for path in paths for name in NAMES]
