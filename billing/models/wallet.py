"""Wallet: prepaid money of one customer, in grants that are burned in a fixed order."""

from __future__ import annotations

from django.db import models

from aforo.kernel.clock import now
from aforo.kernel.identifiers import uuid7
from aforo.tenancy.models import Customer, TenantRow
from aforo.tenancy.models.fields import CurrencyField

from .fields import AmountField


class Wallet(TenantRow):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="wallets")
    currency = CurrencyField(default="USD")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["customer", "currency"], name="wallet_one_a_currency")]

    def __str__(self) -> str:
        return f"{self.customer.external_id} {self.currency}"


class WalletGrant(TenantRow):
    """Money put in. Burn order: PROMO, BONUS, CASH; then soonest expiry; then oldest."""

    class Kind(models.TextChoices):
        PROMO = "PROMO", "Promotional"
        BONUS = "BONUS", "Bonus"
        CASH = "CASH", "Paid in"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="grants")
    kind = models.CharField(max_length=5, choices=Kind.choices, default=Kind.CASH)
    amount = AmountField()
    starts_at = models.DateTimeField(default=now)
    expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)
    closed_at = models.DateTimeField(
        null=True, editable=False, help_text="Expired, and its rest is booked as breakage."
    )
    recurring = models.ForeignKey(
        "billing.RecurringGrant",
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="grants",
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="wallet_grant_positive",
                condition=models.Q(amount__gt=0),
                violation_error_message="A grant is above zero.",
            ),
            models.CheckConstraint(
                name="wallet_grant_term",
                condition=models.Q(expires_at__isnull=True) | models.Q(expires_at__gt=models.F("starts_at")),
                violation_error_message="A grant expires after it starts.",
            ),
            models.UniqueConstraint(fields=["recurring", "starts_at"], name="wallet_grant_once_a_month"),
        ]
        indexes = [
            models.Index(
                fields=["expires_at"], condition=models.Q(closed_at=None), name="wallet_grant_expiring"
            )
        ]
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.amount.normalize():f}"


class WalletHold(TenantRow):
    """Money set aside for one use: PENDING, then SETTLED (burned, all or a part), RELEASED or EXPIRED, for ever.

    What it sets aside are its parts, chosen in burn order when it is made; nothing else can burn them while it is
    PENDING and not past expires_at.
    """

    class Status(models.TextChoices):
        PENDING = "PENDING", "Pending"
        SETTLED = "SETTLED", "Settled"
        RELEASED = "RELEASED", "Released"
        EXPIRED = "EXPIRED", "Expired"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="holds")
    reference = models.CharField(max_length=255, help_text="The tenant's own name of the use, once a wallet.")
    amount = AmountField()
    settled_amount = AmountField(default=0)
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.PENDING)
    created_at = models.DateTimeField(default=now, editable=False)
    expires_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["wallet", "reference"], name="wallet_hold_reference"),
            models.CheckConstraint(
                name="wallet_hold_positive",
                condition=models.Q(amount__gt=0),
                violation_error_message="A hold is above zero.",
            ),
            models.CheckConstraint(
                name="wallet_hold_term",
                condition=models.Q(expires_at__gt=models.F("created_at")),
                violation_error_message="A hold expires in the future.",
            ),
            models.CheckConstraint(
                name="wallet_hold_settled",
                condition=models.Q(
                    status="SETTLED", settled_amount__gt=0, settled_amount__lte=models.F("amount")
                )
                | (~models.Q(status="SETTLED") & models.Q(settled_amount=0)),
            ),
            models.CheckConstraint(
                name="wallet_hold_closed",
                condition=models.Q(status="PENDING", closed_at__isnull=True)
                | (~models.Q(status="PENDING") & models.Q(closed_at__isnull=False)),
            ),
        ]
        indexes = [
            models.Index(
                fields=["expires_at"], condition=models.Q(status="PENDING"), name="wallet_hold_expiring"
            )
        ]
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return self.reference


class WalletHoldPart(TenantRow):
    """What of one grant a hold sets aside."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    hold = models.ForeignKey(WalletHold, on_delete=models.PROTECT, related_name="parts")
    grant = models.ForeignKey(WalletGrant, on_delete=models.PROTECT, related_name="hold_parts")
    amount = AmountField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["hold", "grant"], name="wallet_hold_part_once"),
            models.CheckConstraint(name="wallet_hold_part_positive", condition=models.Q(amount__gt=0)),
        ]


class WalletBurn(TenantRow):
    """Money taken out of one grant; insert-only, so a balance is grants minus burns."""

    class Kind(models.TextChoices):
        INVOICE = "INVOICE", "Invoice"
        HOLD = "HOLD", "Settled hold"
        EXPIRY = "EXPIRY", "Expired"
        REDUCTION = "REDUCTION", "Taken back"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    grant = models.ForeignKey(WalletGrant, on_delete=models.PROTECT, related_name="burns")
    kind = models.CharField(max_length=9, choices=Kind.choices, default=Kind.INVOICE)
    invoice = models.ForeignKey(
        "billing.Invoice", null=True, blank=True, on_delete=models.PROTECT, related_name="wallet_burns"
    )
    hold = models.ForeignKey(
        WalletHold, null=True, blank=True, on_delete=models.PROTECT, related_name="burns"
    )
    amount = AmountField()
    reason = models.CharField(max_length=200, blank=True, help_text="Of what was taken back.")
    burned_at = models.DateTimeField(default=now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["grant", "invoice"], name="wallet_burn_once"),
            models.UniqueConstraint(fields=["grant", "hold"], name="wallet_burn_once_a_hold"),
            models.CheckConstraint(name="wallet_burn_positive", condition=models.Q(amount__gt=0)),
            models.CheckConstraint(
                name="wallet_burn_source",
                condition=models.Q(kind="INVOICE", invoice__isnull=False, hold__isnull=True)
                | models.Q(kind="HOLD", invoice__isnull=True, hold__isnull=False)
                | models.Q(kind__in=["EXPIRY", "REDUCTION"], invoice__isnull=True, hold__isnull=True),
            ),
        ]


# What moves a wallet's balance.
MOVEMENT_KINDS = [("GRANT", "Granted"), *WalletBurn.Kind.choices]


class WalletMovement(TenantRow):
    """A wallet's statement, made by a view: each grant and burn with the balance after it.

    at: when it counts; a grant from its start. amount: positive in, negative out.
    balance: all that moved until then; what has expired is in it until it is booked.
    """

    id = models.UUIDField(primary_key=True)
    wallet = models.ForeignKey(Wallet, on_delete=models.DO_NOTHING, related_name="movements")
    grant = models.ForeignKey(WalletGrant, on_delete=models.DO_NOTHING, related_name="+")
    kind = models.CharField(max_length=9, choices=MOVEMENT_KINDS)
    invoice = models.ForeignKey("billing.Invoice", null=True, on_delete=models.DO_NOTHING, related_name="+")
    hold = models.ForeignKey(WalletHold, null=True, on_delete=models.DO_NOTHING, related_name="+")
    amount = AmountField()
    reason = models.CharField(max_length=200)
    at = models.DateTimeField()
    balance = AmountField()

    class Meta:
        managed = False
        ordering = ["at", "id"]
