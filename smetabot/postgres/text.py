def storable(text: str) -> str:
    """Without NUL, and with a ? for what UTF-8 has no way to say, such as a stray byte in the name of a file."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
