"""Settings, read from the environment; every mistake in it is reported at once."""

from __future__ import annotations

import os
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

import dj_database_url
from django.core.exceptions import ImproperlyConfigured
from environs import Env, EnvError, ValidationError

from config.operations import logs

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = BASE_DIR / ".data"


env = Env(eager=False)


@env.parser_for("networks")
def _networks(value: str) -> list[IPv4Network | IPv6Network]:
    try:
        return [ip_network(text.strip()) for text in value.split(",") if text.strip()]
    except ValueError as error:
        raise ValidationError(str(error)) from error


DEBUG = env.bool("DEBUG", default=True)
SECRET_KEY = env.str("SECRET_KEY", default="")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
DATABASE_URL = env.str("DATABASE_URL", default="")
# A streaming replica that GET requests may be answered from, and how many seconds old its rows may
# be where that matters little.
DATABASE_REPLICA_URL = env.str("DATABASE_REPLICA_URL", default="")
DATABASE_REPLICA_MAX_LAG = env.float("DATABASE_REPLICA_MAX_LAG", default=5.0)
# 0 for a pooler that cannot keep prepared statements (PgBouncer before 1.21).
PREPARED_STATEMENTS = env.bool("DATABASE_PREPARED_STATEMENTS", default=True)
LOG_LEVEL = env.str("LOG_LEVEL", default="WARNING" if DEBUG else "INFO")
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
METRICS_DIR = env.path("METRICS_DIR", default=DATA_DIR / "metrics")
# 0 where no proxy speaks HTTPS for us: the admin's cookies then travel in the clear.
HTTPS = env.bool("HTTPS", default=not DEBUG)
SIGNING_KEY = env.str("SIGNING_KEY", default="")
SIGNING_KEY_FILE = env.str("SIGNING_KEY_FILE", default="")
# Networks that webhooks may be sent to although they are not public, such as 10.0.0.0/8.
WEBHOOK_NETWORKS = env.networks("WEBHOOK_NETWORKS", default="")
# How long a request waits for one statement, and for a lock that somebody else holds, in seconds;
# 0 is for ever. Then it is answered 503.
REQUEST_STATEMENT_SECONDS = env.float("REQUEST_STATEMENT_SECONDS", default=30)
REQUEST_LOCK_SECONDS = env.float("REQUEST_LOCK_SECONDS", default=20)
# Proxies of ours in front, each of which adds to X-Forwarded-For: who logs in comes from before
# the first of them.
PROXIES = env.int("PROXIES", default=0)
try:
    env.seal()
except EnvError as error:
    raise ImproperlyConfigured(f"The environment is not usable: {error}") from error

if not SECRET_KEY:
    if not DEBUG:
        raise ImproperlyConfigured("SECRET_KEY must be set when DEBUG is 0.")
    SECRET_KEY = "development-only-" + "0" * 50

DATABASES: dict[str, dict[str, Any]]
if DATABASE_URL:
    DATABASES = {"default": dict(dj_database_url.parse(DATABASE_URL))}
else:
    from config.database import embedded

    DATABASES = {"default": embedded.settings(DATA_DIR / "pg")}
if DATABASE_REPLICA_URL:
    # Django's tests see the primary under both names.
    DATABASES["replica"] = dict(dj_database_url.parse(DATABASE_REPLICA_URL)) | {
        "TEST": {"MIRROR": "default"}
    }
    DATABASES["replica"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 2)
DATABASE_ROUTERS = ["config.database.routing.Router"]
for _database in DATABASES.values():
    _database |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
    # Only statements that ask for it are prepared (config.database.statements), never by counting.
    _database.setdefault("OPTIONS", {})["prepare_threshold"] = (
        1_000_000_000 if PREPARED_STATEMENTS else None
    )

# The metrics client reads these when it is imported.
METRICS_DIR.mkdir(parents=True, exist_ok=True)
os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(METRICS_DIR))

LOGGING = logs.configuration(LOG_LEVEL)

SECURE_SSL_REDIRECT = HTTPS
# A key that was sent in the clear is not saved by a redirect, and probes do not follow any.
SECURE_REDIRECT_EXEMPT = [r"^api/", r"^v1/", r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "config.tenancy",
    "config.operations",
    "incidents",
    "lessons",
    "exports",
]

MIDDLEWARE = [
    "config.operations.middleware.RequestLog",
    "config.csp.ContentSecurityPolicy",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "config.operations.middleware.LoginThrottle",
    "config.tenancy.middleware.StaffScope",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
FORMAT_MODULE_PATH = ["config.formats"]
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

STATIC_URL = "static/"
# Static files are served straight from the apps that bring them: nothing has to be collected.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

UNFOLD = {
    "SITE_TITLE": "Firebreak",
    "SITE_HEADER": "Firebreak",
    "SITE_SUBHEADER": "LLM and agent incidents",
    "SITE_SYMBOL": "local_fire_department",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": "incidents.admin.site.favicon"}
    ],
    "SITE_URL": None,
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": ["incidents.admin.site.stylesheet"],
    "DASHBOARD_CALLBACK": "incidents.admin.dashboard.show",
    "SIDEBAR": {"navigation": "incidents.admin.site.navigation"},
    "COLORS": {
        "primary": {
            "50": "#fff7ed",
            "100": "#ffedd5",
            "200": "#fed7aa",
            "300": "#fdba74",
            "400": "#fb923c",
            "500": "#c2410c",
            "600": "#9a3412",
            "700": "#7c2d12",
            "800": "#6b2710",
            "900": "#5a200d",
            "950": "#431407",
        },
        "font": {
            "subtle-light": "var(--color-base-600)",
            "subtle-dark": "var(--color-base-300)",
            "default-light": "var(--color-base-700)",
            "default-dark": "var(--color-base-200)",
        },
    },
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["config.api.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["config.api.permissions.HasScope"],
    "DEFAULT_PARSER_CLASSES": ["config.api.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["config.api.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "config.api.pagination.CursorPagination",
    "DEFAULT_SCHEMA_CLASS": "config.api.schema.AutoSchema",
    "EXCEPTION_HANDLER": "config.api.problems.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Firebreak",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "DESCRIPTION": "Reports of what went wrong in; incidents, lessons and evidence out.",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "config.api.schema.add_problems",
    ],
    # Names for what several fields are called alike, or one set of values is called differently.
    "ENUM_NAME_OVERRIDES": {
        "SeverityEnum": "incidents.serializers.incidents.SEVERITIES",
        "IncidentStatusEnum": "incidents.enums.Status",
        "RunStatusEnum": "incidents.enums.RunStatus",
        "DeliveryStatusEnum": "incidents.enums.DeliveryStatus",
        "WebhookEventEnum": "incidents.enums.WebhookEvent",
        "LessonStatusEnum": "lessons.enums.LessonStatus",
        "ProposalStatusEnum": "lessons.enums.ProposalStatus",
        "ProposalKindEnum": "lessons.enums.ProposalKind",
    },
    # From the sidecar package: the pages need no network.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}
