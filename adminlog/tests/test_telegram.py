import pytest

from adminlog.search import named
from adminlog.telegram import meant_by


@pytest.mark.parametrize(
    ("link", "meant"),
    [
        ("https://t.me/ivan", "@ivan"),
        ("http://www.t.me/ivan/", "@ivan"),
        ("t.me/Ivan?utm=1#x", "@Ivan"),
        ("HTTPS://T.ME/ivan", "@ivan"),
        ("telegram.me/ivan", "@ivan"),
        ("telegram.dog/ivan", "@ivan"),
        ("t.me/@ivan", "@ivan"),
        ("ivan.t.me", "@ivan"),
        ("t.me/house/55?single", "@house"),
        ("https://t.me/s/house", "@house"),
        ("tg://resolve?domain=ivan", "@ivan"),
        ("https://web.telegram.org/k/#@ivan", "@ivan"),
        ("https://web.telegram.org/a/#-1001234567890", "-1001234567890"),
        ("https://t.me/c/1234567890/55", "-1001234567890"),
        ("tg://privatepost?channel=1234567890&post=55", "-1001234567890"),
        ("tg://user?id=123", "123"),
        ("tg://openmessage?user_id=123", "123"),
        ("https://t.me/+Xk9_aa-", "Xk9_aa-"),
        ("t.me/%2BXk9_aa-", "Xk9_aa-"),
        ("t.me/joinchat/Xk9_aa-", "Xk9_aa-"),
        ("tg://join?invite=Xk9_aa-", "Xk9_aa-"),
        ("https://t.me/our_bot?start=ref-Ivan", "ref-Ivan"),
        ("tg://resolve?domain=our_bot&start=ref-Ivan", "ref-Ivan"),
    ],
)
def test_a_link_is_about_a_username_an_id_or_a_token(link, meant):
    assert meant_by(link) == meant
    assert named(f" «{link}», ") == meant.removeprefix("@")


@pytest.mark.parametrize(
    "text",
    [
        *["ivan", "@ivan", "123", "t.me", "t.me/", "t.me/+", "t.me/c/x", "t.me/joinchat", "https://[", "👍"],
        *["tg://", "tg://resolve", "not.me/ivan", "https://example.com/ivan", "https://web.telegram.org/"],
        *["https://t.me/iv%00an", "tg://resolve?domain=%00"],
    ],
)
def test_other_text_is_no_link(text):
    assert meant_by(text) is None
