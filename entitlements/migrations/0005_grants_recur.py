"""Grants that recur, and what of them rolls over. Those there are go on as they were."""

from decimal import Decimal

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("entitlements", "0004_leases")]

    operations = [
        migrations.AddField(
            model_name="grant",
            name="recurrence",
            field=models.CharField(
                blank=True,
                choices=[("day", "Days"), ("week", "Weeks"), ("month", "Months"), ("year", "Years")],
                help_text="It has its amount again every so many of these from its start on, whatever was left; empty: never.",
                max_length=5,
                default="",
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="grant",
            name="recurrence_count",
            field=models.PositiveSmallIntegerField(
                default=1,
                help_text="Of a grant that recurs: 2 with weeks is every other week.",
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(1000),
                ],
            ),
        ),
        migrations.AddField(
            model_name="grant",
            name="max_rollover",
            field=models.DecimalField(
                blank=True,
                decimal_places=6,
                help_text="Of what is left, at most so much stays when the feature's window turns; empty: all of it.",
                max_digits=24,
                null=True,
                validators=[django.core.validators.MinValueValidator(0)],
            ),
        ),
        migrations.AddField(
            model_name="grant",
            name="min_rollover",
            field=models.DecimalField(
                decimal_places=6,
                default=Decimal(0),
                help_text="It has at least so much when the feature's window turns.",
                max_digits=24,
                validators=[django.core.validators.MinValueValidator(0)],
            ),
        ),
        migrations.AddConstraint(
            model_name="grant",
            constraint=models.CheckConstraint(
                condition=models.Q(("min_rollover__lte", models.F("amount")))
                & (
                    models.Q(("max_rollover__isnull", True))
                    | models.Q(("max_rollover__gte", models.F("min_rollover")))
                ),
                name="grant_rollover",
                violation_error_message="The least that rolls over is above neither the amount nor the most.",
            ),
        ),
    ]
