"""Uploads: files of events, handed in by a form, and how far they were read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminSelectWidget

from aforo.kernel.errors import Problem
from aforo.tenancy.admin.buttons import button, go_to, page_of
from aforo.tenancy.admin.columns import COLOURS
from aforo.tenancy.admin.rows import RowForm, TenantAdmin
from aforo.tenancy.admin.workspace import tenant_of_request
from aforo.tenancy.models import Tenant

from ..file_reading import FORM_OF_ENDING, FORMS
from ..models import DeadLetterRunAction, Upload
from ..selectors.uploads import letters_of_upload
from ..services.dead_letter_runs import dead_letter_run_plan
from ..services.uploads import upload_admit, upload_create, upload_refuse
from ..upload_files import NewFile

LETTERS_SHOWN = 100


class UploadForm(RowForm):
    file = forms.FileField(
        widget=UnfoldAdminFileFieldWidget,
        max_length=255,
        help_text="CSV with a header, one JSON object a line, or a JSON list; up to 50 MB. The same file counts once.",
    )
    file_format = forms.ChoiceField(
        required=False,
        choices=[("", "As its name says"), *((form, form.upper()) for form in sorted(FORMS))],
        widget=UnfoldAdminSelectWidget,
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        file = cleaned.get("file")
        if file is not None and not cleaned.get("file_format"):
            form = FORM_OF_ENDING.get(file.name.rpartition(".")[2].lower())
            if form is None:
                self.add_error("file_format", f"The name {file.name!r} does not say it; choose one.")
            cleaned["file_format"] = form
        return cleaned


@admin.register(Upload)
class UploadAdmin(TenantAdmin):
    form = UploadForm
    list_display = (
        "name",
        "status_label",
        "progress",
        "rows",
        "accepted",
        "duplicates",
        "rejected",
        "held",
        "created_at",
    )
    list_filter = (("status", ChoicesDropdownFilter),)
    list_filter_submit = True
    search_fields = ("file_name", "sha256__exact")
    ordering = ("-id",)
    add_fieldsets = ((None, {"fields": ("file", "file_format", "is_strict")}),)
    fieldsets = (
        (None, {"fields": (("file_name", "form"), ("bytes", "source"))}),
        ("Times", {"fields": (("created_at", "finished_at"),)}),
    )
    actions_detail = ("replay_letters",)
    change_form_outer_before_template = "metering/admin/upload.html"
    empty_state = (
        "A file of events (CSV, NDJSON, JSON) is read in the background, and each of its rows counts once."
    )

    def get_fieldsets(self, request: HttpRequest, obj: Upload | None = None) -> Any:
        return self.fieldsets if obj is not None else self.add_fieldsets

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "is_strict":
            field.label, field.help_text = "Strict", "Refuse rows that leave a required field to a default."
        return field

    @display(description="File", ordering="file_name")
    def name(self, upload: Upload) -> str:
        return upload.file_name or f"{upload.form} of {upload.bytes:,} bytes"

    @display(description="Status", ordering="status", label=COLOURS)
    def status_label(self, upload: Upload) -> str:
        return upload.status

    @display(description="Read")
    def progress(self, upload: Upload) -> str:
        return f"{_percent(upload)} %"

    def create(
        self, tenant: Tenant, *, file: UploadedFile, file_format: str, is_strict: bool = False
    ) -> Upload:
        upload_admit(tenant=tenant)
        new = NewFile()
        try:
            for piece in file.chunks():
                new.write(piece)
            upload = upload_create(
                tenant=tenant,
                api_key_id=None,
                file=new,
                form=file_format,
                file_name=file.name or "",
                is_strict=is_strict,
            )
        except Problem as problem:
            new.discard()
            if problem.code != "storage_unavailable":
                upload_refuse(tenant=tenant, api_key_id=None, file=new, problem=problem)
            raise
        new.close()
        return upload

    def response_post_save_add(self, request: HttpRequest, obj: Upload) -> HttpResponse:
        return redirect(page_of(obj))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        upload = self.get_object(request, object_id)
        letters = letters_of_upload(upload)
        context = {
            "upload": upload,
            "upload_colour": COLOURS.get(upload.status, "default"),
            "percent_done": _percent(upload),
            "letters": list(letters[:LETTERS_SHOWN]),
            "letters_count": letters.count(),
            **(extra_context or {}),
        }
        return super().change_view(request, object_id, form_url, context)

    @button(
        "Replay its dead letters",
        icon="replay",
        offered=lambda upload: upload.rejected or upload.held,
        says="Shows first what would be accepted, and which invoices would change.",
    )
    def replay_letters(self, request: HttpRequest, upload: Upload) -> HttpResponse:
        run = dead_letter_run_plan(
            tenant=tenant_of_request(request),
            action=DeadLetterRunAction.REPLAY,
            actor=request.user.get_username(),
            # All of its rows were received at this instant.
            start=upload.created_at,
            end=upload.created_at + timedelta.resolution,
        )
        return go_to(page_of(run))


def _percent(upload: Upload) -> int:
    return 100 * upload.offset // upload.bytes
