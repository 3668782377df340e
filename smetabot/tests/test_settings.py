import json
import os
from runpy import run_path
from unittest.mock import patch

import pytest
from django.conf import global_settings
from django.core.exceptions import ImproperlyConfigured

from smetabot.postgres.embedded import default_base

URL = "postgres://smetabot:secret@db.example.com/smetabot"
PRODUCTION = {"DATABASE_URL": URL, "SECRET_KEY": "k" * 25 + "0123456789ABCDEFGHIJKLMNOP", "ALLOWED_HOSTS": "a.ru,b.ru"}


@pytest.fixture
def settled(checkout):
    """All settings of that checkout, read anew in this process, with these variables and no others."""

    def read(**variables):
        with patch.dict(os.environ, {"HOME": str(checkout)} | variables, clear=True):
            return vars(global_settings) | run_path(str(checkout / "smetabot" / "settings.py"))

    return read


@pytest.fixture
def configured(settled):
    """The values of the named settings."""

    def read(*names, **variables):
        found = settled(**variables)
        return json.loads(json.dumps({name: found.get(name) for name in names}, default=str))

    return read


@pytest.fixture
def refusal(settled):
    """The one line with which the configuration is refused."""

    def read(**variables):
        with pytest.raises(ImproperlyConfigured) as refused:
            settled(**variables)
        assert "\n" not in str(refused.value)
        return str(refused.value)

    return read


def test_without_variables_it_is_development_on_the_embedded_database(configured):
    found = configured("DEBUG", "DEVELOPMENT", "PRODUCTION", "SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE")
    assert list(found.values()) == [True, True, False, False, False]


def test_the_secret_key_is_made_once_and_kept(configured):
    first, second = (configured("SECRET_KEY")["SECRET_KEY"] for _ in range(2))
    assert first == second
    assert len(first) >= 50


def test_reading_the_configuration_starts_no_database(python, checkout):
    assert python("manage.py", "check").returncode == 0
    assert not (default_base(checkout) / "data").exists()


def test_a_database_url_alone_is_production_and_asks_for_the_rest(refusal):
    assert "set SECRET_KEY and ALLOWED_HOSTS too, or DEBUG=1" in refusal(DATABASE_URL=URL)


def test_production_asks_for_hosts_when_it_has_a_key(refusal):
    assert "set ALLOWED_HOSTS too" in refusal(DATABASE_URL=URL, SECRET_KEY="k")


def test_production_has_secure_settings(configured):
    found = configured("DEBUG", "SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", **PRODUCTION)
    assert list(found.values()) == [False, True, True, True]


def test_in_production_a_browser_keeps_to_https_for_a_year_and_takes_cookies_from_this_host_alone(configured):
    found = configured("SECURE_HSTS_SECONDS", "SECURE_HSTS_INCLUDE_SUBDOMAINS", "SESSION_COOKIE_NAME", **PRODUCTION)
    assert list(found.values()) == [365 * 24 * 3600, True, "__Host-sessionid"]
    assert configured("CSRF_COOKIE_NAME", "SESSION_COOKIE_PATH", "SESSION_COOKIE_DOMAIN", **PRODUCTION) == {
        "CSRF_COOKIE_NAME": "__Host-csrftoken",
        "SESSION_COOKIE_PATH": "/",
        "SESSION_COOKIE_DOMAIN": None,
    }


def test_the_backup_is_crons_where_there_is_a_place_for_it(configured):
    assert "backup" not in str(configured("CRONJOBS"))
    found = configured("CRONJOBS", "BACKUPS", BACKUPS="/srv/backups")
    assert ["backup"] in [arguments for _, _, arguments in found["CRONJOBS"]]
    assert found["BACKUPS"] == "/srv/backups"


def test_production_passes_djangos_deployment_checks(python):
    result = python("manage.py", "check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)
    assert (result.returncode, result.stdout) == (0, "System check identified no issues (0 silenced).\n"), result


def test_debug_on_another_database_needs_neither_key_nor_hosts_nor_https(configured):
    found = configured("DEBUG", "SECURE_SSL_REDIRECT", DATABASE_URL=URL, DEBUG="1")
    assert list(found.values()) == [True, False]


def test_debug_may_be_turned_off_on_the_embedded_database(configured):
    assert configured("DEBUG", "SECURE_SSL_REDIRECT", DEBUG="0") == {"DEBUG": False, "SECURE_SSL_REDIRECT": False}


def test_the_database_is_the_one_in_the_url(configured):
    database = configured("DATABASES", **PRODUCTION)["DATABASES"]["default"]
    assert [database[key] for key in ("ENGINE", "NAME", "USER", "HOST")] == [
        "smetabot.postgres",
        "smetabot",
        "smetabot",
        "db.example.com",
    ]


@pytest.mark.parametrize(("variables", "threshold"), [({}, 5), ({"POOLED": "1"}, None)])
def test_statements_are_prepared_unless_a_pooler_stands_between(configured, variables, threshold):
    database = configured("DATABASES", DATABASE_URL=f"{URL}?sslmode=require", DEBUG="1", **variables)["DATABASES"]
    options = {"sslmode": "require", "server_side_binding": True, "prepare_threshold": threshold}
    assert database["default"]["POOLED"] == bool(variables)
    assert database["default"]["OPTIONS"].items() >= options.items()


def test_a_dead_host_is_given_up_unless_told_otherwise(configured):
    database = configured("DATABASES", DATABASE_URL=f"{URL}?connect_timeout=9", DEBUG="1")["DATABASES"]["default"]
    assert (database["OPTIONS"]["connect_timeout"], database["OPTIONS"]["tcp_user_timeout"]) == (9, 25_000)


def test_the_web_keeps_its_connections_in_production(python):
    code = "import smetabot.wsgi; from django.db import connection; print(connection.settings_dict['CONN_MAX_AGE'])"
    assert python("-c", code, **PRODUCTION).stdout == "600\n"


def test_hosts_are_a_list(configured):
    assert configured("ALLOWED_HOSTS", **PRODUCTION)["ALLOWED_HOSTS"] == ["a.ru", "b.ru"]


def test_grace_and_rewards_are_as_the_business_has_them_unless_told_otherwise(configured):
    names = ("GRACE_DAYS", "REFERRAL_REWARD_PLAN", "REFERRAL_REWARD_DAYS")
    assert list(configured(*names).values()) == [3, "PRO", 30]
    told = {"GRACE_DAYS": "0", "REFERRAL_REWARD_PLAN": "BUSINESS", "REFERRAL_REWARD_DAYS": "14"}
    assert list(configured(*names, **told).values()) == [0, "BUSINESS", 14]


def test_the_userbot_is_asked_by_cron_where_there_is_one(configured):
    assert "collect_views" not in str(configured("CRONJOBS"))
    found = configured("CRONJOBS", "USERBOT_URL", USERBOT_URL="http://anna:secret@127.0.0.1:8080/bot")
    commands = [arguments for _, _, arguments in found["CRONJOBS"]]
    assert commands.index(["collect_views"]) < commands.index(["aggregate_stats"])
    assert found["USERBOT_URL"] == "http://anna:secret@127.0.0.1:8080/bot"


def test_an_empty_variable_is_an_unset_one(configured):
    assert configured("DEVELOPMENT", DATABASE_URL="", DEBUG="", SECRET_KEY="", DAY_ZONE="")["DEVELOPMENT"] is True


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("DEBUG", "maybe", "'maybe' is neither 1 nor 0"),
        ("DEBUG", "2", "'2' is neither 1 nor 0"),
        ("POOLED", "transaction", "'transaction' is neither 1 nor 0"),
        ("DAY_ZONE", "Moscow", "'Moscow' is no time zone; write one such as Europe/Moscow"),
        ("DAY_ZONE", "../../etc/passwd", "is no time zone"),
        ("STAFF_LANGUAGE", "de", "'de' is neither en nor ru"),
        ("LOG_FORMAT", "xml", "'xml' is neither line nor json"),
        ("STAFF_ZONE", "Moscow", "'Moscow' is no time zone"),
        ("GRACE_DAYS", "-1", "'-1' is not a number of days from 0 to 3650"),
        ("GRACE_DAYS", "3 days", "'3 days' is not a number of days"),
        ("GRACE_DAYS", "3651", "'3651' is not a number of days"),
        ("REFERRAL_REWARD_DAYS", "0", "'0' is not a number of days from 1 to 3650"),
        ("REFERRAL_REWARD_PLAN", "FREE", "'FREE' is neither PRO nor BUSINESS"),
        ("REFERRAL_REWARD_PLAN", "pro", "'pro' is neither PRO nor BUSINESS"),
        ("USERBOT_URL", "userbot:8080", "write http://HOST:PORT or https://HOST"),
        ("USERBOT_URL", "http://u:12/ss@h:x", "write http://HOST:PORT or https://HOST"),
        ("USERBOT_URL", "https://h?token=1", "write http://HOST:PORT or https://HOST"),
        ("USERBOT_TIMEOUT", "0", "'0' is not a number of seconds from 1 to 600"),
        ("ALLOWED_HOSTS", "https://a.ru", "'https://a.ru' is no host name"),
        ("ALLOWED_HOSTS", "a.ru b.ru", "'a.ru b.ru' is no host name"),
        ("DATABASE_URL", "smetabot", "write postgres://USER:PASSWORD@HOST:PORT/NAME"),
        ("DATABASE_URL", "postgres://u@h:port/n", "write postgres://USER:PASSWORD@HOST:PORT/NAME"),
        ("DATABASE_URL", "postgres://u@h", "write postgres://USER:PASSWORD@HOST:PORT/NAME"),
        ("DATABASE_URL", "postgres://u:12/ss@h/n", "write postgres://USER:PASSWORD@HOST:PORT/NAME"),
        ("DATABASE_URL", "postgres://u@h/n?CONN_MAX_AGE=long", "write postgres://USER:PASSWORD@HOST:PORT/NAME"),
        ("DATABASE_URL", "$OTHER_URL", "it is PostgreSQL only"),
        ("DATABASE_URL", "sqlite:///db.sqlite3", "it is PostgreSQL only"),
        ("DATABASE_URL", "mysql://u:p@h/n", "it is PostgreSQL only"),
    ],
)
def test_a_malformed_value_is_refused_in_one_line(refusal, name, value, says):
    line = refusal(**{name: value})
    assert line.startswith(f"{name}: ")
    assert says in line


@pytest.mark.parametrize("url", ["postgres://u@%2Frun%2Fpg/n", "postgres://u@/n?host=/run/pg", "postgres:////run/pg/n"])
def test_a_database_on_a_unix_socket_has_its_folder_for_a_host(configured, url):
    database = configured("DATABASES", DATABASE_URL=url, DEBUG="1")["DATABASES"]["default"]
    assert (database["HOST"] or database["OPTIONS"]["host"], database["NAME"]) == ("/run/pg", "n")


def test_a_password_is_percent_decoded(configured):
    database = configured("DATABASES", DATABASE_URL="postgres://u:p%40ss%2Fw%23@h/n", DEBUG="1")["DATABASES"]["default"]
    assert database["PASSWORD"] == "p@ss/w#"


def test_a_secret_key_may_begin_with_a_dollar_sign(configured):
    assert configured("SECRET_KEY", SECRET_KEY="$ecret")["SECRET_KEY"] == "$ecret"


def test_dotenv_in_another_encoding_is_refused(checkout, refusal):
    (checkout / ".env").write_bytes("# Настройки".encode("cp1251"))
    assert ".env cannot be read as text in UTF-8" in refusal()


def test_a_refused_url_does_not_show_its_password(refusal):
    assert "hunter2" not in refusal(DATABASE_URL="mysql://u:hunter2@h/n")


def test_dotenv_is_read(checkout, configured):
    (checkout / ".env").write_text(f"# ours\n\nDATABASE_URL={URL}\nexport DEBUG=yes\n")
    assert configured("DEVELOPMENT", "DEBUG") == {"DEVELOPMENT": False, "DEBUG": True}


def test_the_environment_wins_over_dotenv(checkout, configured):
    (checkout / ".env").write_text("DAY_ZONE=Europe/Moscow\n")
    assert configured("DAY_ZONE", DAY_ZONE="Asia/Almaty")["DAY_ZONE"] == "Asia/Almaty"


def test_a_line_of_dotenv_that_sets_nothing_is_refused(checkout, refusal):
    (checkout / ".env").write_text("DEBUG=1\nDATABASE_URL = postgres://u@h/n\n")
    assert ".env, line 2: write NAME=value" in refusal()


def test_a_chat_needs_a_bot_and_what_is_refused_shows_no_token(refusal):
    assert "Set both ALERTS_BOT_TOKEN and ALERTS_CHAT" in refusal(ALERTS_CHAT="-1001")
    assert "secret" not in refusal(ALERTS_BOT_TOKEN="123:secret token", ALERTS_CHAT="-1001")
