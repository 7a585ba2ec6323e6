"""Addresses of metering under /v1/."""

from django.urls import path

from .api.collectors import FirehoseView, PubSubView
from .api.corrections import CorrectionsView, CorrectionView, EventAmendView, EventVoidView
from .api.dead_letter_runs import (
    DeadLetterRunCancelView,
    DeadLetterRunPreviewView,
    DeadLetterRunsView,
    DeadLetterRunView,
)
from .api.dead_letters import (
    DeadLetterDiscardView,
    DeadLetterGrowthView,
    DeadLetterReplayView,
    DeadLettersView,
    DeadLetterView,
)
from .api.event_log import EventLogTailView, EventLogView
from .api.events import AliasView, CompoundView, EventsBatchView, EventsView, EventView, MeterCallView
from .api.meters import MetersView, MeterView
from .api.profiles import MeteringProfileView
from .api.uploads import UploadProgressView, UploadsView, UploadView
from .api.usage import ConservationView, UsageView
from .api.webhooks import (
    WebhookSourceRevokeView,
    WebhookSourceRotateView,
    WebhookSourcesView,
    WebhookSourceView,
    WebhookView,
)

urlpatterns = [
    path("events", EventsView.as_view(), name="events"),
    path("events/batch", EventsBatchView.as_view(), name="events-batch"),
    path("events/<path:key>/amend", EventAmendView.as_view(), name="event-amend"),
    path("events/<path:key>/void", EventVoidView.as_view(), name="event-void"),
    path("events/<path:key>", EventView.as_view(), name="event"),
    path("event-log", EventLogView.as_view(), name="event-log"),
    path("event-log/tail", EventLogTailView.as_view(), name="event-log-tail"),
    path("ingest", AliasView.as_view(), name="ingest"),
    path("ingest/batch", AliasView.as_view(), name="ingest-batch"),
    path("ingest/events", AliasView.as_view(), name="ingest-events"),
    path("ingest/events/batch", AliasView.as_view(), name="ingest-events-batch"),
    path("ingest/compound", CompoundView.as_view(), name="ingest-compound"),
    path("ingest/upload", UploadView.as_view(), name="ingest-upload"),
    path("ingest/uploads", UploadsView.as_view(), name="uploads"),
    path("ingest/uploads/<uuid:upload_id>", UploadProgressView.as_view(), name="upload"),
    path("ingest/firehose", FirehoseView.as_view(), name="ingest-firehose"),
    path("ingest/pubsub", PubSubView.as_view(), name="ingest-pubsub"),
    path("ingest/webhook/<str:public_id>", WebhookView.as_view(), name="ingest-webhook"),
    path("webhook-sources", WebhookSourcesView.as_view(), name="webhook-sources"),
    path("webhook-sources/<uuid:source_id>", WebhookSourceView.as_view(), name="webhook-source"),
    path(
        "webhook-sources/<uuid:source_id>/rotate",
        WebhookSourceRotateView.as_view(),
        name="webhook-source-rotate",
    ),
    path(
        "webhook-sources/<uuid:source_id>/revoke",
        WebhookSourceRevokeView.as_view(),
        name="webhook-source-revoke",
    ),
    path("meter", MeterCallView.as_view(), name="meter-call"),
    path("meters", MetersView.as_view(), name="meters"),
    path("meters/<path:key>", MeterView.as_view(), name="meter"),
    path("usage", UsageView.as_view(), name="usage"),
    path("usage/conservation", ConservationView.as_view(), name="conservation"),
    path("metering-profile", MeteringProfileView.as_view(), name="metering-profile"),
    path("corrections", CorrectionsView.as_view(), name="corrections"),
    path("corrections/<uuid:correction_id>", CorrectionView.as_view(), name="correction"),
    path("dead-letters", DeadLettersView.as_view(), name="dead-letters"),
    path("dead-letters/growth", DeadLetterGrowthView.as_view(), name="dead-letter-growth"),
    path("dead-letters/<uuid:letter_id>", DeadLetterView.as_view(), name="dead-letter"),
    path("dead-letters/<uuid:letter_id>/replay", DeadLetterReplayView.as_view(), name="dead-letter-replay"),
    path(
        "dead-letters/<uuid:letter_id>/discard", DeadLetterDiscardView.as_view(), name="dead-letter-discard"
    ),
    path("dead-letter-runs", DeadLetterRunsView.as_view(), name="dead-letter-runs"),
    path("dead-letter-runs/preview", DeadLetterRunPreviewView.as_view(), name="dead-letter-run-preview"),
    path("dead-letter-runs/<uuid:run_id>", DeadLetterRunView.as_view(), name="dead-letter-run"),
    path(
        "dead-letter-runs/<uuid:run_id>/cancel",
        DeadLetterRunCancelView.as_view(),
        name="dead-letter-run-cancel",
    ),
]
