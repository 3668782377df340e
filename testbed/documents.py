"""Documents with sections that commands write."""

import re
from pathlib import Path


def write_section(document: Path, heading: str, text: str) -> None:
    """Puts `text` under the heading of that name (`## …`), in the place of what stood there, or at the end."""
    parts = re.split(r"^(?=## )", document.read_text(), flags=re.MULTILINE)
    written = f"## {heading}\n\n{text.strip()}\n\n"
    for number, part in enumerate(parts):
        if part.partition("\n")[0] == f"## {heading}":
            parts[number] = written
            break
    else:
        parts.append(written)
    document.write_text("".join(parts).rstrip() + "\n")
