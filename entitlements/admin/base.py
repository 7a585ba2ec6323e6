"""What pages share whose services write down who asked."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

from django.http import HttpRequest

from aforo.tenancy.admin.rows import RowForm, RowFormSet, TenantAdmin


class ActorAdmin(TenantAdmin):
    """A page whose `create` and `update` find the person's name in `self.actor`."""

    actor: str = ""

    def save_related(
        self, request: HttpRequest, form: RowForm, formsets: Sequence[RowFormSet], change: bool
    ) -> None:
        # The page serves everybody at once; the copy is this request's.
        acting: Any = copy(self)
        acting.actor = request.user.get_username()
        super(ActorAdmin, acting).save_related(request, form, formsets, change)
