# Short enough for a column, and the same on every page.
DATE_FORMAT = "j M Y"
DATETIME_FORMAT = "j M Y, H:i"
