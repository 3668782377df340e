"""What may be a password, and what is kept of it."""

import pytest
from django.conf import global_settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher, identify_hasher, make_password
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import CommonPasswordValidator, validate_password
from django.core.exceptions import ValidationError


@pytest.mark.parametrize("password", ["SmetaBot-2026!", "my smetabot login", "смета на крышу", "Смета-Бот 77"])
def test_no_password_has_the_name_of_the_product_in_it(password):
    with pytest.raises(ValidationError, match="name of the product"):
        validate_password(password)


def test_no_common_password_is_taken():
    common = {password for password in CommonPasswordValidator().passwords if len(password) >= 8}
    assert len(common) > 7_000
    with pytest.raises(ValidationError, match="too common"):
        validate_password("password1")


def test_a_password_counts_as_it_was_typed_and_may_be_long():
    login = User()
    for password in [" correct horse battery ", "Пароль с пробелами", "x1" * 100]:
        validate_password(password, login)
        login.set_password(password)
        assert login.check_password(password)
        assert not login.check_password(password.strip().upper())
        assert not login.check_password(password[:64]) or len(password) <= 64


def test_a_password_is_kept_as_the_current_django_would(settings):
    settings.PASSWORD_HASHERS = global_settings.PASSWORD_HASHERS
    assert "PASSWORD_HASHERS" not in (settings.BASE_DIR / "smetabot" / "settings.py").read_text()
    kept = make_password("correct horse battery")
    assert identify_hasher(kept).algorithm == "pbkdf2_sha256"
    assert int(kept.split("$")[1]) == PBKDF2PasswordHasher.iterations >= 600_000
