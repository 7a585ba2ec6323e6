"""Settings, read from the environment; docs/settings.md says what each is for.

Without DATABASE_URL, REDIS_URL and LOG_REDIS_URL the embedded services of `make run` are used, whose addresses
stand in the data folder.
"""

from __future__ import annotations

from pathlib import Path

import environ

from aforo.runtime.services import environment_default, home_default

BASE_DIR = Path(__file__).resolve().parent.parent

environment_default()
env = environ.Env()

SECRET_KEY = env("SECRET_KEY")
DEBUG = env.bool("DEBUG", False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]", "testserver"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "aforo.tenancy",
    "aforo.outbox",
    "aforo.audit",
    "aforo.http",
    "metering",
    "entitlements",
    "billing",
    "sandbox",
    "aforo.console",
]

MIDDLEWARE = [
    "aforo.http.middleware.RequestId",
    "aforo.http.middleware.RateLimitHeaders",
    "aforo.http.middleware.AddressWithoutNul",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "aforo.console.middleware.AdminContentSecurity",
    "aforo.console.middleware.AdminQueryWithoutNul",
]

ROOT_URLCONF = "aforo.urls"
WSGI_APPLICATION = "aforo.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# The API's addresses carry no trailing slash, and a redirect would turn a POST into a GET.
APPEND_SLASH = False

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

DATABASES = {"default": env.db("DATABASE_URL")}
DATABASES["default"]["CONN_MAX_AGE"] = env.int("CONN_MAX_AGE", 60)
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
# A server that vanishes without a word is noticed in half a minute, not after two hours.
DATABASES["default"]["OPTIONS"] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    **DATABASES["default"].get("OPTIONS", {}),
}

# The event log is an instance of its own: a reader beside a fsyncing writer waits three times as long.
LOG_REDIS_URL = env("LOG_REDIS_URL")
REDIS_URL = env("REDIS_URL")
LOG_SHARDS = env.int("LOG_SHARDS", 1)
# "everysec" is an operator's choice to lose up to a second of answered events in a power cut.
LOG_APPENDFSYNC = env.str("LOG_APPENDFSYNC", "always")
LOG_TIMEOUT_S = env.float("LOG_TIMEOUT_S", 0.25)
# Beyond this, senders are asked to wait; entries that were not read are never dropped.
LOG_BYTES_MAX = env.int("LOG_BYTES_MAX", 2 * 1024**3)
# Where submissions are kept when neither log nor store answers; empty: they are refused.
LOG_SPOOL_DIR = env.str("LOG_SPOOL_DIR", "")
LOG_SPOOL_BYTES_MAX = env.int("LOG_SPOOL_BYTES_MAX", 1024**3)

# Without it, /metrics answers this host alone.
METRICS_TOKEN = env.str("METRICS_TOKEN", "")

# Months of events that `manage.py archive run` leaves in the database, beside the present one; 0: all.
EVENTS_KEPT_MONTHS = env.int("EVENTS_KEPT_MONTHS", 0)
ARCHIVE_DIR = env.str("ARCHIVE_DIR", str(home_default() / "archive"))

# Files of events, until they are read; one folder for all web servers and workers.
UPLOAD_DIR = env.str("UPLOAD_DIR", str(home_default() / "uploads"))

CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "aforo:cache",
        "TIMEOUT": 300,
    }
}
SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"

CELERY_BROKER_URL = REDIS_URL
CELERY_RESULT_BACKEND = REDIS_URL
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_TRANSPORT_OPTIONS = {"global_keyprefix": "aforo:celery:"}
CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS = {"global_keyprefix": "aforo:celery:"}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TIMEZONE = "UTC"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True

PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
FORMAT_MODULE_PATH = ["aforo.console.formats"]

STATIC_URL = "/static/"
# WhiteNoise serves straight from the packages; only a file server of the operator's needs them collected.
STATIC_ROOT = env("STATIC_ROOT", default=None)
STORAGES = {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
WHITENOISE_USE_FINDERS = True

# Bodies are read by metering, which stops at its own limit of 10 MiB after decompression.
DATA_UPLOAD_MAX_MEMORY_SIZE = 11 * 1024 * 1024

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["aforo.http.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["aforo.http.authentication.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["aforo.http.rendering.JSONRenderer"],
    "DEFAULT_THROTTLE_CLASSES": ["aforo.http.rate_limit.KeyRate"],
    "DEFAULT_PARSER_CLASSES": ["aforo.http.bodies.ExactJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PAGINATION_CLASS": "aforo.http.pagination.CursorPage",
    "EXCEPTION_HANDLER": "aforo.http.problems.exception_handler",
    "PAGE_SIZE": 50,
    "UNAUTHENTICATED_USER": None,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Aforo",
    "DESCRIPTION": "Usage metering, entitlements and billing for APIs. Check before serving, meter after serving.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    # Fields that share a name, such as status, and not their values.
    "ENUM_NAME_OVERRIDES": {
        "BillRunStatus": "billing.schemas.bill_runs.RUN_STATUSES",
        "InvoiceStatus": "billing.schemas.invoices.STORED_STATUSES",
        "InvoiceShownStatus": "billing.schemas.invoices.SHOWN_STATUSES",
        "CreditNoteStatus": "billing.schemas.credit_notes.CREDIT_NOTE_STATUSES",
        "ChargeKind": "billing.schemas.rate_plans.CHARGE_KINDS",
        "OfferingKind": "billing.schemas.offerings.OFFERING_KINDS",
        "Interval": "billing.models.catalog.Interval.choices",
        "CommitmentKind": "billing.schemas.contracts.COMMITMENT_KINDS",
        "CouponKind": "billing.schemas.coupons.COUPON_KINDS",
        "GrantKind": "billing.schemas.wallets.GRANT_KINDS",
        "HoldStatus": "billing.schemas.wallets.HOLD_STATUSES",
        "TopUpStatus": "billing.schemas.top_ups.TOP_UP_STATUSES",
        "RecurringGrantKind": "billing.schemas.top_ups.RECURRING_KINDS",
        "WalletMovementKind": "billing.models.wallet.MOVEMENT_KINDS",
        "SubscriptionState": "billing.models.subscription.SubscriptionState.choices",
        "MarginAction": "entitlements.schemas.MARGIN_ACTIONS",
        "MarginEventKind": "entitlements.schemas.MARGIN_EVENT_KINDS",
        "MarginScope": "entitlements.schemas.MARGIN_SCOPES",
        "MarginWindow": "entitlements.schemas.MARGIN_WINDOWS",
        "MarginMode": "entitlements.schemas.MARGIN_MODES",
        "FeatureKind": "entitlements.schemas.FEATURE_KINDS",
        "EntitlementLayer": "entitlements.schemas.ENTITLEMENT_LAYERS",
        "LimitType": "entitlements.schemas.LIMIT_TYPES",
        "DecidedLimitType": "entitlements.schemas.DECIDED_LIMIT_TYPES",
        "EntitlementWindow": "entitlements.schemas.ENTITLEMENT_WINDOWS",
        "GrantRecurrence": "entitlements.schemas.RECURRENCES",
        "FeatureGrantState": "entitlements.schemas.GRANT_STATES",
        "ApiKeyScope": "aforo.http.schemas.KEY_SCOPES",
        "ApiKeyState": "aforo.http.schemas.KEY_STATES",
        "DeadLetterRunAction": "metering.models.DeadLetterRunAction.choices",
        "DeadLetterRunStatus": "metering.models.DeadLetterRunStatus.choices",
        "OpenDeadLetterStatus": "metering.schemas.OPEN_STATUSES",
        "DeadLetterStatus": "metering.models.DeadLetterStatus.choices",
        "CorrectionKind": "metering.models.CorrectionKind.choices",
        "EventStatus": "metering.schemas.EVENT_STATUSES",
        "EventLogStatus": "metering.selectors.event_log.STATUSES",
        "StoredEventStatus": "metering.schemas.STORED_STATUSES",
        "VerdictStatus": "metering.schemas.VERDICT_STATUSES",
        "UploadStatus": "metering.models.UploadStatus.choices",
        "WebhookScheme": "metering.models.WebhookScheme.choices",
    },
}

UNFOLD = {
    "SITE_TITLE": "Aforo",
    "SITE_HEADER": "Aforo",
    "SITE_SUBHEADER": "aforo.console.navigation.tenant_name",
    "SITE_DROPDOWN": "aforo.console.navigation.tenant_dropdown",
    "SITE_SYMBOL": "speed",
    "SITE_URL": None,
    "ENVIRONMENT": "aforo.console.navigation.environment",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: f"{STATIC_URL}aforo/favicon.svg"}
    ],
    "DASHBOARD_CALLBACK": "aforo.console.dashboard.home",
    "STYLES": [lambda request: f"{STATIC_URL}aforo/admin.css"],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "BORDER_RADIUS": "6px",
    "COLORS": {
        "primary": {
            "50": "#eff6ff",
            "100": "#dbeafe",
            "200": "#bfdbfe",
            "300": "#93c5fd",
            "400": "#60a5fa",
            "500": "#3b82f6",
            "600": "#1d5fd1",
            "700": "#1a4fae",
            "800": "#1b438c",
            "900": "#1c3a6f",
            "950": "#142444",
        },
    },
    "SIDEBAR": {"navigation": "aforo.console.navigation.sidebar"},
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["console"], "level": env("LOG_LEVEL", default="INFO")},
    "loggers": {"django.request": {"level": "ERROR"}},
}

SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
LOGIN_URL = "/admin/login/"
LOGIN_REDIRECT_URL = "/admin/"

# Every process that reads the settings also knows the Celery app, so that shared tasks reach its broker.
import aforo.celery  # noqa: E402, F401
