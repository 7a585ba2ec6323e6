"""The shapes of bill runs."""

from __future__ import annotations

from rest_framework import serializers

from aforo.http.serializers import InstantField, StrictSerializer

from ..models import BillRun
from ..models.profile import GRACE_HOURS_MAX
from .invoices import MonthField, PeriodSerializer

# Named for the description of the API (ENUM_NAME_OVERRIDES).
RUN_STATUSES = BillRun.Status.values


class ScopeSerializer(StrictSerializer):
    customers = serializers.ListField(
        child=serializers.CharField(max_length=255),
        required=False,
        max_length=1000,
        help_text="External ids; none means all customers.",
    )


class BillRunStartSerializer(StrictSerializer):
    period = MonthField(
        help_text="The month to bill, such as 2026-03: every period whose last day in the customer's zone lies in it."
    )
    scope = ScopeSerializer(required=False)
    auto_finalize = serializers.BooleanField(
        required=False, default=True, help_text="Issue what was drafted; otherwise the drafts stay drafts."
    )
    grace_hours = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=GRACE_HOURS_MAX,
        help_text="So long the drafts wait for late events; then they are made again and issued. The billing profile's "
        "unless given.",
    )


class ProgressSerializer(serializers.Serializer):
    total = serializers.IntegerField()
    pending = serializers.IntegerField()
    drafted = serializers.IntegerField()
    issued = serializers.IntegerField()
    failed = serializers.IntegerField()


class FailureSerializer(serializers.Serializer):
    customer = serializers.CharField()
    subscription = serializers.CharField()
    period = PeriodSerializer()
    error = serializers.CharField()


class BillRunSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    status = serializers.ChoiceField(
        BillRun.Status.values, help_text="FAILED: finished, and some items failed."
    )
    starts_on = serializers.DateField()
    ends_on = serializers.DateField(help_text="First day no longer in the window.")
    scope = ScopeSerializer()
    auto_finalize = serializers.BooleanField()
    issues_at = InstantField(allow_null=True, help_text="End of the grace period; null without one.")
    refreshed_at = InstantField(allow_null=True, help_text="When all drafts were last made anew.")
    events_waiting = serializers.IntegerField(
        allow_null=True,
        help_text="Events that were in the log and not in rows when the run started: its drafts may lack them. Null where "
        "the log could not be asked.",
    )
    started_at = InstantField()
    finished_at = InstantField(allow_null=True)
    progress = ProgressSerializer()
    failures = FailureSerializer(many=True, help_text="The first 100.")
