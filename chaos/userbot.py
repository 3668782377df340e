import json
from typing import Any

from testbed.stranger import Answer


def answer(question: Any) -> Answer:
    """Answers collect_views: so many views, whoever asks how often."""
    views = {str(message): 200 + message for message in question["message_ids"]}
    return 200, {}, json.dumps({"ok": True, "views": views}).encode()
