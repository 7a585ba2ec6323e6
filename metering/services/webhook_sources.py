"""Webhook sources: made, changed, rotated, revoked, and recognised by their signature."""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.db import transaction

from aforo.kernel.clock import now
from aforo.kernel.errors import Problem
from aforo.kernel.identifiers import random_text
from aforo.kernel.periods import instant_text
from aforo.tenancy.models import Tenant
from aforo.tenancy.seal import seal, unseal
from aforo.tenancy.selectors.rows import found
from aforo.tenancy.services.rows import invalid, row_save

from ..mapping import wrong_entries
from ..models import WebhookScheme, WebhookSource
from ..selectors.webhook_sources import webhook_sources_for
from ..signatures import PREFIX, is_plain_signature, is_standard_signature, plain_key, signed_at, standard_key

PUBLIC_ID_LENGTH = 16
SECRET_BYTES = 32
LAST_USED_RESOLUTION = timedelta(seconds=10)

# Compared where there is no source, so that an unknown one and a wrong signature take the same way.
_NOBODYS_KEY = secrets.token_bytes(SECRET_BYTES)


@transaction.atomic
def webhook_source_create(
    *, tenant: Tenant, name: str, secret: str | None = None, **terms: Any
) -> tuple[WebhookSource, str]:
    """Make a source and return it with its secret, which is shown this once.

    secret: what the other system signs with, where it chose it; else one is made. terms: scheme, mapping, tolerance_s,
    rate_limit_per_s.
    Raises Problem input_invalid.
    """
    source = WebhookSource(
        tenant=tenant, name=name, public_id=random_text(PUBLIC_ID_LENGTH), sealed_secret=b"", **terms
    )
    secret = _secret(source, secret)
    source.sealed_secret = seal(secret)
    _save(source)
    return source, secret


@transaction.atomic
def webhook_source_update(*, tenant: Tenant, source_id: UUID, **changes: Any) -> WebhookSource:
    """Change name, mapping, tolerance_s or rate_limit_per_s, for deliveries to come. Locks the source.

    Raises Problem not_found or input_invalid.
    """
    source = _locked(tenant, source_id)
    for field, value in changes.items():
        setattr(source, field, value)
    _save(source)
    return source


@transaction.atomic
def webhook_source_rotate(
    *, tenant: Tenant, source_id: UUID, overlap: timedelta, secret: str | None = None
) -> tuple[WebhookSource, str]:
    """Give the source another secret and return it; the one before still verifies until *overlap* has passed.

    Locks the source. Raises Problem not_found, input_invalid, or state_conflict for a revoked source.
    """
    source = _locked(tenant, source_id)
    if not source.is_active:
        raise Problem("state_conflict", f"The webhook source {source.public_id} is revoked.")
    source.sealed_secret_before, source.secret_before_until = source.sealed_secret, now() + overlap
    secret = _secret(source, secret)
    source.sealed_secret = seal(secret)
    _save(source)
    return source, secret


@transaction.atomic
def webhook_source_revoke(*, tenant: Tenant, source_id: UUID) -> WebhookSource:
    """Revoke for good; revoking twice keeps the first time. Locks the source. Raises Problem not_found."""
    source = _locked(tenant, source_id)
    if source.is_active:
        source.revoked_at = now()
        source.save(update_fields=["revoked_at"])
    return source


def webhook_source_recognise(
    *, public_id: str, headers: Mapping[str, str], body: bytes
) -> tuple[WebhookSource, str]:
    """Whose delivery this is, and the key of its events where they have none: the same for the same delivery, always.

    headers: of the request, looked up whatever their case. body: as received.
    Raises Problem signature_invalid or signature_expired; an unknown source and a wrong signature are told apart by
    nothing.
    """
    source = WebhookSource.objects.select_related("tenant").filter(public_id=public_id).first()
    if source is not None and not source.is_active:
        source = None
    is_standard = source is None or source.scheme == WebhookScheme.STANDARD
    keys = [_NOBODYS_KEY] if source is None else _keys(source)
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if is_standard:
        header = headers.get("webhook-signature", "")
        is_valid = is_standard_signature(
            keys, message_id=message_id, timestamp=timestamp, body=body, header=header
        )
    else:
        is_valid = is_plain_signature(keys, body=body, header=headers.get("X-Signature", ""))
    if source is None or not is_valid:
        raise Problem("signature_invalid", "No signature of this delivery is by the source's secret.")
    if is_standard:
        _message_check(source, message_id, timestamp)
    _used(source)
    # Nothing else in a plain delivery tells a copy of it from another one.
    return source, f"{public_id}:{message_id if is_standard else sha256(body).hexdigest()[:32]}"


def _message_check(source: WebhookSource, message_id: str, timestamp: str) -> None:
    if not message_id:
        raise Problem("signature_invalid", "The header webhook-id is missing.")
    at = signed_at(timestamp)
    if at is None:
        raise Problem("signature_invalid", "The header webhook-timestamp is no number of seconds since 1970.")
    distance_s = abs((now() - at).total_seconds())
    if distance_s > source.tolerance_s:
        raise Problem(
            "signature_expired",
            f"The delivery was signed at {instant_text(at)}; up to {source.tolerance_s} seconds from now are accepted.",
            tolerance_s=source.tolerance_s,
        )


def _keys(source: WebhookSource) -> list[bytes]:
    read = standard_key if source.scheme == WebhookScheme.STANDARD else plain_key
    keys = [read(unseal(source.sealed_secret))]
    if source.secret_before_until is not None and now() < source.secret_before_until:
        keys.append(read(unseal(source.sealed_secret_before)))
    return keys


def _used(source: WebhookSource) -> None:
    if source.last_used_at is None or now() - source.last_used_at > LAST_USED_RESOLUTION:
        WebhookSource.objects.filter(pk=source.pk).update(last_used_at=now())


def _secret(source: WebhookSource, given: str | None) -> str:
    """The secret as given, checked, or a new one."""
    if given is None:
        return PREFIX + b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    try:
        (standard_key if source.scheme == WebhookScheme.STANDARD else plain_key)(given)
    except ValueError as error:
        raise invalid("secret", f"{error}.") from None
    return given


def _save(source: WebhookSource) -> None:
    wrong = wrong_entries(source.mapping) if isinstance(source.mapping, dict) else {"mapping": "is no object"}
    if wrong:
        said = "; ".join(f"{name} {what}" for name, what in wrong.items())
        raise Problem("input_invalid", f"mapping: {said}.", errors={"mapping": [f"{said}."]})
    row_save(source)


def _locked(tenant: Tenant, source_id: UUID) -> WebhookSource:
    return found(webhook_sources_for(tenant).select_for_update(), pk=source_id)
