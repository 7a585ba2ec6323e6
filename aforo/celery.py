"""Celery: metering's and billing's tasks and the static schedule of beat."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aforo.settings")

app = Celery("aforo")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

# Named, so that no app is imported here; seconds.
app.conf.beat_schedule = {
    "bill-runs-resume": {"task": "billing.bill_runs_resume", "schedule": 10.0},
    "contracts-renew": {"task": "billing.contracts_renew", "schedule": 600.0},
    "dead-letter-runs-resume": {"task": "metering.dead_letter_runs_resume", "schedule": 30.0},
    "dead-letters-watch": {"task": "metering.dead_letters_watch", "schedule": 60.0},
    "held-letters-replay": {"task": "metering.held_letters_replay", "schedule": 60.0},
    "leases-prune": {"task": "entitlements.leases_prune", "schedule": 3600.0},
    "standings-keep": {"task": "billing.standings_keep", "schedule": 60.0},
    "uploads-resume": {"task": "metering.uploads_resume", "schedule": 30.0},
    "margins-evaluate": {
        "task": "entitlements.margins_evaluate",
        "schedule": 10.0,
        # A turn that waits behind others is made up for by the next one.
        "options": {"expires": 10.0},
    },
    "subscriptions-advance": {"task": "billing.subscriptions_advance", "schedule": 60.0},
    "wallets-keep": {"task": "billing.wallets_keep", "schedule": 60.0},
}
