# Short enough for a column, and the same on every page.
DATE_FORMAT = "j\xa0b\xa0Y"
DATETIME_FORMAT = "j\xa0b\xa0Y, H:i"
