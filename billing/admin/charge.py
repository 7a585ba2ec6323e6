"""Charges of a version: edited while it is a draft, with exactly the fields that the pricing model knows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import ForeignKey, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.enums import ActionVariant

from aforo.tenancy.admin.buttons import button, go_to, page_of
from aforo.tenancy.admin.rows import RowForm, RowFormSet, RowInline, TenantAdmin
from aforo.tenancy.admin.workspace import tenant_of_request
from aforo.tenancy.models import Tenant

from ..models import Charge, RatePlanVersion, Tier
from ..pricing import MODELS, TIERED
from ..pricing.tiers import TERMS as TIER_TERMS
from ..services.catalog import charge_add, charge_remove, charge_update
from .base import without

Status = RatePlanVersion.Status

_TERMS = {name: model.NEEDS | model.ALLOWS for name, model in MODELS.items()}
# column -> the term it holds
_TERM_COLUMNS = {
    "unit_price": "unit_price",
    "amount": "amount",
    "percent": "percent",
    "fixed_fee": "fixed_fee",
    "minimum_fee": "minimum_fee",
    "minimum_without_transactions": "minimum_without_transactions",
    "included_units": "included",
    "block_size": "block_size",
    "rate_basis": "rate_basis",
    "package_size": "package_size",
    "package_price": "package_price",
    "multiplier": "multiplier",
}
_USAGE_COLUMNS = (
    *("meter", "dimension_filters", "quota_units", "over_quota"),
    *("rollover_percent", "rollover_units_max", "rollover_periods"),
)
_BOUNDS = ("minimum_amount", "maximum_amount")
_ASKED_OF_USAGE = {
    "meter": "Choose the meter whose usage is charged.",
    "model": "Choose how the usage is priced.",
}
_OWN = ("name", "kind", "timing", "model", "position")


def _shown_when(names: tuple[str, ...]) -> str:
    """The condition, in the page's own script, of a field that these models know."""
    of_usage = " || ".join(f"model == '{name}'" for name in names if name != "FLAT_RATE")
    of_fee = "kind == 'FEE' || model == 'FLAT_RATE'" if "FLAT_RATE" in names else ""
    return of_fee or f"kind == 'USAGE' && ({of_usage})"


def _unknown(kind: str, model: str) -> tuple[str, ...]:
    """The columns that a charge of this kind and model does not have."""
    known = _TERMS.get(model, frozenset())
    unpriced = tuple(column for column, term in _TERM_COLUMNS.items() if term not in known)
    return unpriced + (_USAGE_COLUMNS if kind == Charge.Kind.FEE else ())


class ChargeForm(RowForm):
    """A field that the chosen kind and model do not know is hidden, and taken as left out."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "model" in self.fields:
            self.fields["model"].required = False

    def clean(self) -> dict[str, Any]:
        sent = self.cleaned_data
        is_fee = sent.get("kind") == Charge.Kind.FEE
        if is_fee:
            sent["model"] = Charge.Model.FLAT_RATE
        for name, sentence in () if is_fee else _ASKED_OF_USAGE.items():
            if name in self.fields and name not in self._errors and not sent.get(name):
                self.add_error(name, sentence)
        for column in _unknown(sent.get("kind", ""), sent.get("model", "")):
            if column in self.fields:
                self._errors.pop(column, None)
                sent[column] = Charge._meta.get_field(column).get_default()
        return super().clean()


class TierFormSet(RowFormSet):
    """The tiers in the order of the page; one added to those that are kept goes where its end belongs.

    What a tier of the chosen model costs must be filled in; what it does not know is hidden, and taken as left out.
    """

    def full_clean(self) -> None:
        # Only now does the row say which model was chosen.
        knows = TIERED.get(self.instance.model, frozenset())
        price = next((name for name in TIER_TERMS if name in knows), "")
        for form in self.forms:
            for name in TIER_TERMS:
                if name in form.fields:
                    form.fields[name].required = name == price
        super().full_clean()

    def _filled(self) -> list[Any]:
        filled = super()._filled()
        kept = [form for form in filled if form in self.initial_forms]
        if not kept:
            return filled
        for form in filled:
            if form not in kept:
                kept.insert(_place(kept, form.cleaned_data.get("up_to")), form)
        return kept


def _place(tiers: list[Any], up_to: Decimal | None) -> int:
    """Before the first tier that ends later; at the end where the new one is open."""
    for place, form in enumerate(tiers):
        end = form.cleaned_data.get("up_to")
        if up_to is not None and (end is None or end > up_to):
            return place
    return len(tiers)


class TierInline(RowInline):
    model = Tier
    formset = TierFormSet
    fields = ("up_to", *TIER_TERMS)
    template = "billing/admin/tiers.html"
    verbose_name_plural = "Tiers, from the first unit on; leave the last one's end empty"

    def get_extra(self, request: HttpRequest, obj: Charge | None = None, **kwargs: Any) -> int:
        return 2 if obj is None else 0

    def get_formset(self, request: HttpRequest, obj: Charge | None = None, **kwargs: Any) -> Any:
        return super().get_formset(request, obj, can_delete=self._is_open(request, obj), **kwargs)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name in TIER_TERMS:
            # A free last tier has nothing filled in but a price of 0, which must count as filled in.
            field.initial, field.required = None, False
        return field

    @property
    def model_names(self) -> tuple[str, ...]:
        return tuple(TIERED)

    @property
    def hidden_terms(self) -> tuple[tuple[str, str], ...]:
        """(model, term) for each column that the tiers of the model do not have."""
        return tuple(
            (model, term) for model, knows in TIERED.items() for term in TIER_TERMS if term not in knows
        )

    def has_add_permission(self, request: HttpRequest, obj: Charge | None = None) -> bool:
        return self._is_open(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Charge | None = None) -> bool:
        return self._is_open(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Charge | None = None) -> bool:
        return self._is_open(request, obj)

    def _is_open(self, request: HttpRequest, charge: Charge | None) -> bool:
        may = request.user.has_perm("billing.change_charge")
        return may and (charge is None or charge.version.status == Status.DRAFT)


@admin.register(Charge)
class ChargeAdmin(TenantAdmin):
    form = ChargeForm
    fixed_fields = ("version", "code")
    list_display = ("code", "name", "version", "kind", "model", "meter")
    list_select_related = ("version__plan", "meter")
    search_fields = ("code", "name", "version__plan__code")
    fieldsets = (
        (None, {"fields": ("version", ("code", "name"), ("kind", "timing", "position"))}),
        ("Usage", {"fields": (("meter", "model"), "dimension_filters")}),
        (
            "Price",
            {
                "fields": (
                    ("unit_price", "included_units"),
                    ("block_size", "rate_basis"),
                    ("package_size", "package_price"),
                    "multiplier",
                    "amount",
                    ("percent", "fixed_fee"),
                    ("minimum_fee", "minimum_without_transactions"),
                )
            },
        ),
        ("Bounds of the line", {"fields": (("minimum_amount", "maximum_amount"),), "classes": ("collapse",)}),
        (
            "Quota and rollover",
            {
                "fields": (
                    ("quota_units", "over_quota"),
                    ("rollover_periods", "rollover_percent", "rollover_units_max"),
                ),
                "classes": ("collapse",),
            },
        ),
    )
    conditional_fields = {
        **{
            column: _shown_when(tuple(name for name, terms in _TERMS.items() if term in terms))
            for column, term in _TERM_COLUMNS.items()
        },
        **dict.fromkeys((*_USAGE_COLUMNS, "model"), "kind == 'USAGE'"),
        "timing": "kind == 'FEE'",
    }
    actions_detail = ("remove",)
    empty_state = "Charges are added on the page of a draft version."

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("version__plan")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_open = not isinstance(obj, Charge) or obj.version.status == Status.DRAFT
        return is_open and super().has_change_permission(request, obj)

    def get_fieldsets(self, request: HttpRequest, obj: Charge | None = None) -> Any:
        if obj is None or self.has_change_permission(request, obj):
            return self.fieldsets
        return without(self.fieldsets, {*_unknown(obj.kind, obj.model)})

    def get_inlines(self, request: HttpRequest, obj: Charge | None) -> Any:
        is_fixed = obj is not None and not self.has_change_permission(request, obj)
        return () if is_fixed and obj.model not in TIERED else (TierInline,)

    def formfield_for_foreignkey(self, db_field: ForeignKey, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.name == "version":
            field.queryset = field.queryset.filter(status=Status.DRAFT).select_related("plan")
            field.help_text = "Only a draft takes charges."
        return field

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """A new charge stands behind those that the version has."""
        given = super().get_changeform_initial_data(request)
        try:
            charges = self.get_queryset(request).filter(version=given.get("version"))
        except ValidationError:
            # An address that somebody wrote by hand.
            return {}
        return {"position": charges.count() + 1, **given}

    def create(self, tenant: Tenant, *, version: RatePlanVersion, **fields: Any) -> Charge:
        return charge_add(
            tenant=tenant,
            plan=version.plan.code,
            version=version.number,
            **{
                **fields,
                "meter": _key(fields["meter"]),
                "tiers": _tiers(fields["model"], fields.get("tiers", [])),
            },
        )

    def update(
        self, tenant: Tenant, row: Charge, *, tiers: list[Any] | None = None, **changes: Any
    ) -> Charge:
        """All columns, because those that the new model does not know went back to their defaults."""
        columns = (*_OWN, *_TERM_COLUMNS, *_USAGE_COLUMNS, *_BOUNDS)
        if tiers is None and "model" in changes:
            # Those that are stored, without what the new model's tiers do not have.
            tiers = [
                {name: getattr(tier, name) for name in ("up_to", *TIER_TERMS)} for tier in row.tiers.all()
            ]
        given = _tiers(row.model, tiers)
        return charge_update(
            tenant=tenant,
            plan=row.version.plan.code,
            version=row.version.number,
            code=row.code,
            **{name: getattr(row, name) for name in columns if name != "meter"},
            meter=_key(row.meter),
            **({} if given is None else {"tiers": given}),
        )

    def response_post_save_add(self, request: HttpRequest, obj: Charge) -> HttpResponse:
        return redirect(page_of(obj.version))

    def response_post_save_change(self, request: HttpRequest, obj: Charge) -> HttpResponse:
        return redirect(page_of(obj.version))

    @button(
        "Remove",
        icon="delete",
        variant=ActionVariant.DANGER,
        offered=lambda charge: charge.version.status == Status.DRAFT,
        says="Takes the charge off the draft.",
    )
    def remove(self, request: HttpRequest, charge: Charge) -> HttpResponse:
        version = charge.version
        charge_remove(
            tenant=tenant_of_request(request),
            plan=version.plan.code,
            version=version.number,
            code=charge.code,
        )
        return go_to(page_of(version))


def _key(meter: Any) -> str | None:
    return meter.key if meter is not None else None


def _tiers(model: str, tiers: list[Any] | None) -> list[Any] | None:
    """What the model's tiers have, the rest at its default. None: as they are; a model without tiers has none."""
    if tiers is None or model not in TIERED:
        return None if model in TIERED else []
    return [
        {
            "up_to": tier["up_to"],
            **{
                name: tier[name]
                if name in TIERED[model] and tier[name] is not None
                else Tier._meta.get_field(name).get_default()
                for name in TIER_TERMS
            },
        }
        for tier in tiers
    ]
