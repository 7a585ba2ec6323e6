"""Addresses of metering under /v1/."""

from django.urls import path

from .api.dead_letters import DeadLetterDiscardView, DeadLetterReplayView, DeadLettersView, DeadLetterView
from .api.events import AliasView, CompoundView, EventsBatchView, EventsView, EventView, MeterCallView
from .api.meters import MetersView, MeterView
from .api.usage import ConservationView, UsageView

urlpatterns = [
    path("events", EventsView.as_view(), name="events"),
    path("events/batch", EventsBatchView.as_view(), name="events-batch"),
    path("events/<path:key>", EventView.as_view(), name="event"),
    path("ingest", AliasView.as_view(), name="ingest"),
    path("ingest/batch", AliasView.as_view(), name="ingest-batch"),
    path("ingest/events", AliasView.as_view(), name="ingest-events"),
    path("ingest/events/batch", AliasView.as_view(), name="ingest-events-batch"),
    path("ingest/compound", CompoundView.as_view(), name="ingest-compound"),
    path("meter", MeterCallView.as_view(), name="meter-call"),
    path("meters", MetersView.as_view(), name="meters"),
    path("meters/<path:key>", MeterView.as_view(), name="meter"),
    path("usage", UsageView.as_view(), name="usage"),
    path("usage/conservation", ConservationView.as_view(), name="conservation"),
    path("dead-letters", DeadLettersView.as_view(), name="dead-letters"),
    path("dead-letters/<uuid:letter_id>", DeadLetterView.as_view(), name="dead-letter"),
    path("dead-letters/<uuid:letter_id>/replay", DeadLetterReplayView.as_view(), name="dead-letter-replay"),
    path(
        "dead-letters/<uuid:letter_id>/discard", DeadLetterDiscardView.as_view(), name="dead-letter-discard"
    ),
]
