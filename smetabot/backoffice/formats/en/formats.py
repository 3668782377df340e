# Short enough for a column, where it stays in one line, and the same on every page.
DATE_FORMAT = "j\xa0M\xa0Y"
DATETIME_FORMAT = "j\xa0M\xa0Y, H:i"
