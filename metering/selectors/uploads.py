"""The doors to uploads; each asks for the tenant."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.rows import found

from ..models import DeadLetter, Upload


def uploads_for(tenant: Tenant, *, status: str | None = None) -> QuerySet[Upload]:
    """Uploads, the latest first."""
    rows = Upload.objects.of(tenant).order_by("-pk")
    return rows if status is None else rows.filter(status=status)


def upload_for(tenant: Tenant, upload_id: UUID) -> Upload:
    """Raises Problem not_found."""
    return found(Upload.objects.of(tenant), pk=upload_id)


def letters_of_upload(upload: Upload) -> QuerySet[DeadLetter]:
    """The dead letters of a file's rows, in the order of its lines: received at the very instant the upload was made."""
    letters = DeadLetter.objects.filter(tenant_id=upload.tenant_id, received_at=upload.created_at)
    return letters.defer("payload").order_by("facts__line", "pk")
