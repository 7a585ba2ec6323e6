"""Who asks, as services that write the audit want to know it."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request


def actor_of(request: Request) -> dict[str, Any]:
    """The arguments tenant and actor: those of the request's key."""
    return {"tenant": request.user.tenant, "actor": str(request.user.key_id)}
