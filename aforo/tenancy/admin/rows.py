"""The base of every page on a tenant's rows: what one tenant has, changed by services alone.

A page reads a form, calls one service and shows what came of it. What the service refuses is told beside the field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from typing import Any, ClassVar
from zoneinfo import available_timezones

from django.contrib import messages
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db.models import ForeignKey, JSONField, Model, QuerySet
from django.forms import BaseForm, BaseInlineFormSet, ModelChoiceField, ModelForm
from django.forms import JSONField as JSONFormField
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.admin import ModelAdmin, TabularInline
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.dataclasses import UnfoldAction
from unfold.widgets import UnfoldAdminSelect2Widget, UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from aforo.kernel.currencies import MINOR_UNITS
from aforo.kernel.errors import Problem

from ..models import Tenant, TenantRow
from ..models.fields import COUNTRIES, CountryField, CurrencyField, ZoneField
from .decimals import PlainDecimals
from .workspace import tenant_of_request

# A field of a row inside the form's row: tiers[1].up_to.
_INNER = re.compile(r"(\w+)\[(\d+)\]\.(\w+)")


def _same(names: list[str]) -> list[tuple[str, str]]:
    return [(name, name) for name in names]


class RowChoice(ModelChoiceField):
    def bound_data(self, data: Any, initial: Any) -> Any:
        """What is no id at all is shown as nothing chosen: the widget would ask the store for it."""
        try:
            self.queryset.model._meta.pk.to_python(data)
        except ValidationError:
            return None
        return data


class RowForm(ModelForm):
    """A form of a tenant's row; the classes that pages make of it carry the request's tenant and refusal."""

    tenant: ClassVar[Tenant | None] = None
    refusal: ClassVar[Problem | None] = None
    own_name: ClassVar[str] = ""
    renamed: ClassVar[Mapping[str, str]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance._state.adding:
            self.instance.tenant = self.tenant

    def clean(self) -> dict[str, Any]:
        for name, field in self.fields.items():
            if isinstance(field, JSONFormField) and self.cleaned_data.get(name, "") is None:
                # An emptied text is no value at all, which the column cannot hold.
                self.cleaned_data[name] = self._meta.model._meta.get_field(name).get_default()
        if self.refusal is not None:
            refuse(self, self.refusal, own_name=self.own_name, renamed=self.renamed)
        return self.cleaned_data

    def _post_clean(self) -> None:
        """A name that is taken is told beside its field, where Django tells it above the form."""
        super()._post_clean()
        above = self._errors.pop(NON_FIELD_ERRORS, None)
        for error in above.as_data() if above else ():
            is_taken = error.code == "unique_together" and self.own_name in self.fields
            self.add_error(self.own_name if is_taken else None, error)


class RowFormSet(BaseInlineFormSet):
    """Rows inside a row, as sent; a refusal of tiers[1].up_to is told at the second one's up_to."""

    tenant: ClassVar[Tenant | None] = None
    refusal: ClassVar[Problem | None] = None
    name: ClassVar[str] = ""

    def _construct_form(self, i: int, **kwargs: Any) -> BaseForm:
        form = super()._construct_form(i, **kwargs)
        form.instance.tenant = self.tenant
        return form

    def sent(self) -> list[dict[str, Any]]:
        """The fields of each row that is filled in and not struck out, in order."""
        names = [name for name in self.form.base_fields if name not in {self.fk.name, self._pk_field.name}]
        return [{name: form.cleaned_data[name] for name in names} for form in self._filled()]

    def clean(self) -> None:
        filled = self._filled()
        for name, sentences in sentences_by_field(self.refusal) if self.refusal else ():
            inner = _INNER.fullmatch(name)
            if inner and inner[1] == self.name and int(inner[2]) < len(filled):
                form = filled[int(inner[2])]
                form.add_error(inner[3] if inner[3] in form.fields else None, sentences)

    def _filled(self) -> list[BaseForm]:
        struck_out = self.deleted_forms if self.can_delete else []
        return [
            form
            for form in self.forms
            if hasattr(form, "cleaned_data")
            and form not in struck_out
            and (form.has_changed() or form in self.initial_forms)
        ]


class TenantAdmin(PlainDecimals, ModelAdmin):
    """Pages on the rows of the tenant that the person works in; rows of another are 404 everywhere.

    A subclass that has `create(tenant, **fields)` can add rows, one that has `update(tenant, row, **changes)` can change
    them; each calls one service and returns the row. Without them the pages only show. Nothing is ever deleted.
    own_name: the field that names a row. fixed_fields: set when a row is made and never changed.
    renamed: what a service calls a field -> what the form calls it. empty_state: what to do while there are no rows.
    """

    form = RowForm
    exclude = ("tenant",)
    actions = None
    list_per_page = 50
    own_name: ClassVar[str] = "code"
    fixed_fields: ClassVar[tuple[str, ...]] = ()
    renamed: ClassVar[Mapping[str, str]] = {}
    empty_state: ClassVar[str] = ""
    change_form_before_template = "tenancy/form_tenant.html"
    formfield_overrides = {
        **PlainDecimals.formfield_overrides,
        JSONField: {"widget": UnfoldAdminTextareaWidget(attrs={"rows": 3})},
        ZoneField: {"widget": UnfoldAdminSelect2Widget(choices=_same(sorted(available_timezones())))},
        CurrencyField: {"widget": UnfoldAdminSelectWidget(choices=_same(sorted(MINOR_UNITS)))},
        CountryField: {
            "widget": UnfoldAdminSelect2Widget(
                choices=[("", "–"), *((code, f"{code} · {name}") for code, name in sorted(COUNTRIES.items()))]
            )
        },
    }
    # Rows inside the row that are filled in together with a new one.
    add_inlines: ClassVar[tuple[type, ...]] = ()

    # What the person may see and do.

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).filter(tenant=tenant_of_request(request))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Model:
        row = super().get_object(request, object_id, from_field)
        if row is None:
            raise Http404(f"No {self.opts.verbose_name} {object_id}.")
        return row

    def has_add_permission(self, request: HttpRequest) -> bool:
        may = hasattr(self, "create") and super().has_add_permission(request)
        return may and tenant_of_request(request) is not None

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return hasattr(self, "update") and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_operate_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the person may press the buttons of a row; also of one whose fields never change."""
        return super().has_change_permission(request)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return (*self.readonly_fields, *(self.fixed_fields if obj is not None else ()))

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[UnfoldAction]:
        row = self.get_object(request, object_id)
        return [
            button
            for button in super().get_actions_detail(request, object_id)
            if button.method.is_offered(row)
        ]

    # Forms.

    def get_inlines(self, request: HttpRequest, obj: Model | None) -> Sequence[type]:
        return self.inlines if obj is not None else self.add_inlines

    def formfield_for_foreignkey(self, db_field: ForeignKey, request: HttpRequest, **kwargs: Any) -> Any:
        return super().formfield_for_foreignkey(db_field, request, **_of_tenant(db_field, request, kwargs))

    def get_form(self, request: HttpRequest, obj: Model | None = None, **kwargs: Any) -> type[RowForm]:
        form = super().get_form(request, obj, **kwargs)
        form.tenant = tenant_of_request(request)
        form.refusal = getattr(request, "refusal", None)
        form.own_name, form.renamed = self.own_name, self.renamed
        return form

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], **options: Any
    ) -> HttpResponse:
        row = options.get("obj")
        if row is not None and not self.has_change_permission(request, row):
            # Without inputs there is nothing that a condition could look at.
            shown = copy(self)
            shown.conditional_fields = {}
            context["adminform"].model_admin = shown
        return super().render_change_form(request, context, **options)

    # Writing.

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """A page whose service refuses is made a second time, and its form says why."""
        tenant = tenant_of_request(request)
        if request.POST.get("form_tenant", "") not in {"", str(tenant and tenant.pk)}:
            # Another tab has switched since; what was filled in for one tenant is no other's.
            messages.error(
                request, f"That page was of another tenant; you work in {tenant} now. Nothing is saved."
            )
            return redirect("admin:index")
        context = {**(extra_context or {}), "form_tenant": tenant}
        try:
            return super().changeform_view(request, object_id, form_url, context)
        except Problem as problem:
            request.refusal = problem  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, context)

    def save_model(self, request: HttpRequest, obj: Model, form: RowForm, change: bool) -> None:
        """A row is written together with the rows inside it."""

    def save_related(
        self, request: HttpRequest, form: RowForm, formsets: Sequence[RowFormSet], change: bool
    ) -> None:
        sent = {name: form.cleaned_data[name] for name in (form.changed_data if change else form.fields)}
        for formset in formsets:
            # Writes nothing; the history asks it what was added.
            formset.save(commit=False)
            if formset.has_changed():
                sent[formset.name] = formset.sent()
        tenant = tenant_of_request(request)
        row = self.update(tenant, form.instance, **sent) if change else self.create(tenant, **sent)
        # The page goes on with the form's row, which is the one that was written.
        form.instance.__dict__.update(row.__dict__)


class RowInline(PlainDecimals, TabularInline):
    """Rows inside a tenant's row, of the same tenant; shown only, unless a subclass says otherwise."""

    formset = RowFormSet
    exclude = ("tenant",)
    extra = 0
    can_delete = False
    hide_title = True

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def formfield_for_foreignkey(self, db_field: ForeignKey, request: HttpRequest, **kwargs: Any) -> Any:
        return super().formfield_for_foreignkey(db_field, request, **_of_tenant(db_field, request, kwargs))

    def get_formset(self, request: HttpRequest, obj: Model | None = None, **kwargs: Any) -> type[RowFormSet]:
        formset = super().get_formset(request, obj, **kwargs)
        formset.tenant = tenant_of_request(request)
        formset.refusal = getattr(request, "refusal", None)
        formset.name = formset.get_default_prefix()
        return formset


class OwnRelatedFilter(RelatedDropdownFilter):
    """A filter by a row that this one refers to; offers the tenant's alone."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        rows = field.related_model.objects.of(tenant_of_request(request))
        return [(row.pk, str(row)) for row in rows]


def refuse(
    form: BaseForm, problem: Problem, *, own_name: str = "", renamed: Mapping[str, str] | None = None
) -> None:
    """Tell a problem in a form: beside the fields it names, else above them."""
    said = dict(sentences_by_field(problem))
    if not said and problem.code == "already_exists":
        said = {own_name: [problem.detail]}
    for name, sentences in (said or {"": [problem.detail]}).items():
        field = (renamed or {}).get(name, name)
        if field in form.fields:
            form.add_error(field, sentences)
        elif inner := _INNER.fullmatch(name):
            row = f"{inner[1].capitalize()}, row {int(inner[2]) + 1}"
            form.add_error(None, [f"{row}: {sentence}" for sentence in sentences])
        else:
            form.add_error(None, problem.detail)


def sentences_by_field(problem: Problem) -> Iterator[tuple[str, list[str]]]:
    """What a problem says of each field, each sentence beginning with a capital letter."""
    for name, said in problem.facts.get("errors", {}).items():
        sentences = [said] if isinstance(said, str) else said
        yield name, [sentence[:1].upper() + sentence[1:] for sentence in map(str, sentences)]


def _of_tenant(field: ForeignKey, request: HttpRequest, options: dict[str, Any]) -> dict[str, Any]:
    if issubclass(field.related_model, TenantRow) and "queryset" not in options:
        rows = field.related_model.objects.of(tenant_of_request(request))
        return {**options, "queryset": rows, "form_class": RowChoice}
    return options
