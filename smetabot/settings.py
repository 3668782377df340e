"""Configuration comes from the environment and from `.env` beside manage.py; the README lists every variable.

Development means the embedded database and needs no variable at all. DATABASE_URL with DEBUG off is production.
"""

import re
import shlex
import shutil
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

import environ
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

from smetabot.postgres import embedded

BASE_DIR = Path(__file__).resolve().parent.parent
DOTENV = BASE_DIR / ".env"

env = environ.Env()
if DOTENV.exists():
    try:
        lines = DOTENV.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f".env cannot be read as text in UTF-8: {error}") from error
    for number, line in enumerate(lines, 1):
        # django-environ skips such a line, which would quietly run on another database.
        if line.strip() and not re.match(r"#|(export )?[A-Za-z_0-9]+=", line):
            raise ImproperlyConfigured(f".env, line {number}: write NAME=value, with no space around the equals sign.")
    env.read_env(DOTENV)

# What manage.py reads, so that `crontab add` can compare cron's empty environment with this one.
VARIABLES: list[str] = []


def read(name: str, cast: Callable[[str], Any], default: Any) -> Any:
    """The variable, or `default` when it is unset or empty. `cast` refuses a value with a ValueError that names it."""
    VARIABLES.append(name)
    # Not env.str(): it takes a value that begins with a dollar sign for the name of another variable, and a random
    # SECRET_KEY may begin so.
    value = env.ENVIRON.get(name, "").strip()
    try:
        return cast(value) if value else default
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error}.") from error


def boolean(value: str) -> bool:
    if value.lower() in ("1", "true", "yes", "on"):
        return True
    if value.lower() in ("0", "false", "no", "off"):
        return False
    raise ValueError(f"{value!r} is neither 1 nor 0")


def separated(value: str) -> list[str]:
    return [name.strip() for name in value.split(",") if name.strip()]


def hosts(value: str) -> list[str]:
    names = separated(value)
    if wrong := [name for name in names if not re.fullmatch(r"\*|\.?[\w.-]+|\[[0-9a-fA-F:.]+\]", name)]:
        raise ValueError(f"{wrong[0]!r} is no host name; write names separated by commas, without https:// and port")
    return names


def database(value: str) -> dict[str, Any]:
    # The value holds a password: an error never repeats it.
    expected = "write postgres://USER:PASSWORD@HOST:PORT/NAME"
    try:
        config = environ.Env.db_url_config(value, engine="smetabot.postgres")
    except (ValueError, KeyError, TypeError):
        raise ValueError(expected) from None
    if urlsplit(value).scheme not in ("postgres", "postgresql"):
        raise ValueError(f"{expected}; it is PostgreSQL only")
    # A slash or an at sign in the name is one that the password should have had percent-encoded.
    if not config["NAME"] or set("/@") & set(config["NAME"]) or isinstance(config.get("CONN_MAX_AGE"), str):
        raise ValueError(expected)
    return config | {"HOST": unquote(config["HOST"])}


def http_address(value: str) -> str:
    # The value may hold a password: an error never repeats it.
    expected = "write http://HOST:PORT or https://HOST, with a path if it has one"
    try:
        parts = urlsplit(value)
        is_whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        raise ValueError(expected) from None
    # An at sign in the path is one that the password should have had percent-encoded.
    if not is_whole or not re.fullmatch("[!-~]+", value) or "?" in value or "#" in value or "@" in parts.path:
        raise ValueError(expected)
    return value


def bot_token(value: str) -> str:
    if re.fullmatch(r"[0-9]+:[A-Za-z0-9_-]+", value):
        return value
    # An error never repeats it.
    raise ValueError("write it as BotFather gave it, such as 123456:ABC-DEF")


def chat(value: str) -> str:
    if re.fullmatch(r"-?[0-9]{1,19}|@[A-Za-z0-9_]+", value):
        return value
    raise ValueError(f"{value!r} is no chat; write its id, such as -1001234567890, or its @name")


def zone(value: str) -> ZoneInfo:
    try:
        return ZoneInfo(value)
    except (KeyError, OSError, ValueError):
        raise ValueError(f"{value!r} is no time zone; write one such as Europe/Moscow") from None


def language(value: str) -> str:
    if value in dict(LANGUAGES):
        return value
    raise ValueError(f"{value!r} is neither en nor ru")


def number_of(unit: str, *, least: int, most: int) -> Callable[[str], int]:
    def cast(value: str) -> int:
        if re.fullmatch(rf"\d{{1,{len(str(most))}}}", value, re.ASCII) and least <= int(value) <= most:
            return int(value)
        raise ValueError(f"{value!r} is not a number of {unit} from {least} to {most}")

    return cast


def log_format(value: str) -> str:
    if value in ("line", "json"):
        return value
    raise ValueError(f"{value!r} is neither line nor json")


ROLES = ["support", "manager", "owner"]
LANGUAGES = [("en", "English"), ("ru", "Русский")]


def roles(value: str) -> list[str]:
    names = [] if value == "none" else separated(value)
    if wrong := [name for name in names if name not in ROLES]:
        raise ValueError(f"{wrong[0]!r} is no role; write some of {','.join(ROLES)}, separated by commas, or none")
    return names


def paid_plan(value: str) -> str:
    if value in ("PRO", "BUSINESS"):
        return value
    raise ValueError(f"{value!r} is neither PRO nor BUSINESS")


EMBEDDED = embedded.default_base(BASE_DIR)
DATABASES = {
    "default": read(
        "DATABASE_URL",
        database,
        default={
            "ENGINE": "smetabot.postgres",
            "NAME": embedded.DATABASE,
            "USER": embedded.USER,
            "HOST": str(embedded.Cluster(EMBEDDED).socket_dir),
            "PORT": embedded.PORT,
            "EMBEDDED": str(EMBEDDED),
        },
    )
}
# Between us and PostgreSQL stands a pooler that gives each transaction another connection: nothing may outlive one.
POOLED = read("POOLED", boolean, default=False)
# A machine that is gone sends no word: seconds until it is given up when it is called, and in the middle of an answer.
DEAD_HOST = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
DATABASES["default"] |= {
    "OPTIONS": DEAD_HOST
    | DATABASES["default"].get("OPTIONS", {})
    | {"server_side_binding": True, "prepare_threshold": None if POOLED else 5},
    "POOLED": POOLED,
}
DEVELOPMENT = "EMBEDDED" in DATABASES["default"]
DEBUG = read("DEBUG", boolean, default=DEVELOPMENT)
PRODUCTION = not DEVELOPMENT and not DEBUG

SECRET_KEY = read("SECRET_KEY", str, default=None)
ALLOWED_HOSTS = read("ALLOWED_HOSTS", hosts, default=None)
if PRODUCTION and not (SECRET_KEY and ALLOWED_HOSTS):
    missing = " and ".join(name for name in ("SECRET_KEY", "ALLOWED_HOSTS") if not globals()[name])
    raise ImproperlyConfigured(f"DATABASE_URL is set and DEBUG is off: set {missing} too, or DEBUG=1.")
SECRET_KEY = SECRET_KEY or embedded.secret_key(EMBEDDED)
ALLOWED_HOSTS = ALLOWED_HOSTS or [".localhost", "127.0.0.1", "[::1]"]

# Of probes, which ask this machine itself.
SECURE_REDIRECT_EXEMPT = ["^healthz$", "^readyz$"]
if PRODUCTION:
    # TLS ends at the proxy in front, which sets this header and drops a client's own.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    # A browser takes cookies of such a name from this host alone, and over HTTPS.
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_NAME = "__Host-csrftoken"

# Of whom a second factor is required at the login.
SECOND_FACTOR = read("SECOND_FACTOR", roles, default=ROLES if PRODUCTION else [])
OTP_TOTP_ISSUER = "SmetaBot"
# No script of a page reads it.
CSRF_COOKIE_HTTPONLY = True
# A session ends when nothing was asked of it for so long.
SESSION_COOKIE_AGE = 60 * read("SESSION_IDLE_MINUTES", number_of("minutes", least=1, most=10080), default=60)
# However much is asked of it, it ends so long after the login.
SESSION_SECONDS = 3600 * read("SESSION_HOURS", number_of("hours", least=1, most=720), default=12)
# Repeated failures lock a name out at the address that they come from, so that nobody can lock out a member of staff
# from elsewhere.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_USERNAME_CALLABLE = "adminlog.lock_outs.counted_as"
AXES_HANDLER = "adminlog.logins.LockOutHandler"
AXES_LOCKOUT_CALLABLE = "smetabot.backoffice.login.locked_out"
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "adminlog.requests.address_of"
# Its place is our journal.
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

# 'unsafe-eval' because the theme's Alpine.js makes functions of what its templates say; its templates also place things
# by inline styles. There is no inline script, and nothing comes from elsewhere.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'", "'unsafe-eval'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}

INSTALLED_APPS = [
    "smetabot.apps.SmetabotConfig",
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "smetabot.backoffice.apps.BackofficeConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "axes",
    "django_crontab",
    "django_extensions",
    "core",
    "billing",
    "analytics",
    "referrals",
    "adminlog",
]

MIDDLEWARE = [
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.security.SecurityMiddleware",
    # A probe comes without TLS, with any name for this host, and leaves no trace.
    "smetabot.probes.probes_middleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # Of what comes from below nothing is kept, a refusal neither: Django's admin leaves out some of its pages.
    "django.views.decorators.cache.never_cache",
    "adminlog.requests.origin_middleware",
    "adminlog.requests.decency_middleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "adminlog.sessions.idle_middleware",
    "adminlog.preferences.preferences_middleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "axes.middleware.AxesMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# The bytes of a form, and its fields: an act on 500 rows has as many.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1_000
FILE_UPLOAD_HANDLERS = ["adminlog.requests.NoFiles"]

ROOT_URLCONF = "smetabot.urls"
WSGI_APPLICATION = "smetabot.wsgi.application"
# Not in cookies: what is told of an act names people.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
LOGIN_REDIRECT_URL = "admin:index"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "adminlog.roles.RoleBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
    {"NAME": "adminlog.passwords.NoNameOfTheProduct"},
]

# What is no page speaks English in UTC: commands, cron's mails, the journal, logs.
LANGUAGE_CODE = "en"
USE_TZ = True
TIME_ZONE = "UTC"
# Of pages, for whoever chose none. Not LANGUAGE: a shell's variable of that name means its programs.
STAFF_LANGUAGE = read("STAFF_LANGUAGE", language, default="en")
STAFF_ZONE = read("STAFF_ZONE", zone, default=ZoneInfo("UTC"))
FORMAT_MODULE_PATH = "smetabot.backoffice.formats"
# The calendar of daily figures. How a moment is shown is another matter.
DAY_ZONE = read("DAY_ZONE", zone, default=ZoneInfo("UTC"))

# How long after its end a day is counted anew, with what rows came late.
ROLLUP_OPEN_DAYS = read("ROLLUP_OPEN_DAYS", number_of("days", least=0, most=365), default=3)
# Months of events that are over for longer go to files, and out of the table; 0 keeps all of them there.
EVENTS_RETENTION_MONTHS = read("EVENTS_RETENTION_MONTHS", number_of("months", least=0, most=1200), default=0)
EVENTS_ARCHIVE = BASE_DIR / read("EVENTS_ARCHIVE", Path, default="archive")
# Where the daily backup goes, if there is one, and how many of them are kept; 0 keeps all.
BACKUPS = read("BACKUPS", BASE_DIR.joinpath, default=None)
BACKUPS_KEEP = read("BACKUPS_KEEP", number_of("backups", least=0, most=10000), default=14)
# Whom collect_views asks, and how many seconds it waits for an answer.
USERBOT_URL = read("USERBOT_URL", http_address, default=None)
USERBOT_TIMEOUT = read("USERBOT_TIMEOUT", number_of("seconds", least=1, most=600), default=30)
# The Telegram chat that watch_jobs tells of alerts, and the bot that it does so by.
ALERTS_BOT_TOKEN = read("ALERTS_BOT_TOKEN", bot_token, default=None)
ALERTS_CHAT = read("ALERTS_CHAT", chat, default=None)
ALERTS_API_URL = read("ALERTS_API_URL", http_address, default="https://api.telegram.org")
if bool(ALERTS_BOT_TOKEN) != bool(ALERTS_CHAT):
    raise ImproperlyConfigured("Set both ALERTS_BOT_TOKEN and ALERTS_CHAT, or neither.")
# How long a paid subscription that has ended stays live; 0 turns grace off.
GRACE_DAYS = read("GRACE_DAYS", number_of("days", least=0, most=3650), default=3)
# What a full referral cycle earns.
REFERRAL_REWARD_PLAN = read("REFERRAL_REWARD_PLAN", paid_plan, default="PRO")
REFERRAL_REWARD_DAYS = read("REFERRAL_REWARD_DAYS", number_of("days", least=1, most=3650), default=30)

STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True

# Cron starts in $HOME with an empty environment and knows no quoting of its own: a percent sign ends its line.
CRONTAB_EXECUTABLE = shutil.which("crontab") or "crontab"
CRONTAB_COMMAND_PREFIX = f"cd {shlex.quote(str(BASE_DIR))} &&".replace("%", r"\%")
CRONTAB_PYTHON_EXECUTABLE = shlex.quote(sys.executable).replace("%", r"\%")
CRONTAB_DJANGO_MANAGE_PATH = "manage.py"
# What a job has to say on success stands in admin.job_runs; cron mails what is on stderr.
CRONTAB_COMMAND_SUFFIX = "> /dev/null"
# The mark of this checkout's lines: two clones under one account do not remove each other's.
CRONTAB_COMMENT = f"smetabot in {BASE_DIR}"
# In the order in which one leads to the next, but each obeys the definitions in any order.
CRONJOBS = [
    ("5 * * * *", "django.core.management.call_command", ["expire_subscriptions"]),
    ("10 * * * *", "django.core.management.call_command", ["advance_referrals"]),
    ("15 * * * *", "django.core.management.call_command", ["apply_gifts"]),
    # Without a userbot it is no job, or it would always be late.
    *([("17 * * * *", "django.core.management.call_command", ["collect_views"])] if USERBOT_URL else []),
    ("20 * * * *", "django.core.management.call_command", ["aggregate_stats"]),
    ("22 * * * *", "django.core.management.call_command", ["check_data"]),
    ("25 * * * *", "django.core.management.call_command", ["roll_up_days"]),
    ("30 3 * * *", "django.core.management.call_command", ["verify_journal"]),
    ("40 3 * * *", "django.core.management.call_command", ["maintain_partitions"]),
    ("50 3 * * *", "django.core.management.call_command", ["clear_expired"]),
    ("*/5 * * * *", "django.core.management.call_command", ["watch_jobs"]),
    *([("0 4 * * *", "django.core.management.call_command", ["backup"])] if BACKUPS else []),
]

# `json` tells of each request and of each run of a job, for a journal that machines read; `line` only of what went
# wrong, and cron mails that.
LOG_FORMAT = read("LOG_FORMAT", log_format, default="line")
TALE = {"handlers": ["stderr" if LOG_FORMAT == "json" else "nowhere"], "level": "INFO", "propagate": False}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"context": {"()": "adminlog.logs.Context"}},
    "formatters": {
        "line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"},
        "json": {"()": "adminlog.logs.JsonLines"},
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT, "filters": ["context"]},
        "nowhere": {"class": "logging.NullHandler"},
    },
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        # Django's own would mail errors.
        "django": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        "django.request": {"handlers": ["stderr"], "level": "ERROR", "propagate": False},
        "gunicorn.error": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "adminlog.requests": TALE,
        "adminlog.jobs": TALE,
    },
}

UNFOLD = {
    "SITE_TITLE": "SmetaBot",
    "SITE_HEADER": "SmetaBot",
    "SITE_SYMBOL": "architecture",
    "SITE_URL": None,
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("smetabot/favicon.svg")},
    ],
    "STYLES": [
        lambda request: static("smetabot/accessibility.css"),
        lambda request: static("smetabot/backoffice.css"),
        lambda request: static("smetabot/sections.css"),
    ],
    "SCRIPTS": [lambda request: static("smetabot/accessibility.js")],
    "DASHBOARD_CALLBACK": "smetabot.backoffice.dashboard.show",
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "ACCOUNT": {
        "navigation": [
            {"title": _("My settings"), "link": reverse_lazy("admin:preferences")},
            {"title": _("Change password"), "link": reverse_lazy("admin:password_change")},
            {"title": _("Second factor"), "link": reverse_lazy("admin:second_factor")},
        ]
    },
}
