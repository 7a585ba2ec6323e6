"""What the writer needs beside: counts of numbers in buckets, receipts of duplicates, entries set aside."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("metering", "0003_meter_frozen"),
        ("tenancy", "0001_initial"),
    ]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE metering_bucket ADD COLUMN value_count bigint NOT NULL DEFAULT 0;"
            "ALTER TABLE metering_bucket ALTER COLUMN value_count DROP DEFAULT;",
            "ALTER TABLE metering_bucket DROP COLUMN value_count;",
            state_operations=[
                migrations.AddField(
                    model_name="bucket",
                    name="value_count",
                    field=models.BigIntegerField(
                        help_text="Those of them with a number, which AVG divides by."
                    ),
                ),
                migrations.AlterField(
                    model_name="bucket",
                    name="count",
                    field=models.BigIntegerField(help_text="Events."),
                ),
            ],
        ),
        migrations.AddField(
            model_name="logentry",
            name="problem",
            field=models.TextField(blank=True),
        ),
        migrations.AlterField(
            model_name="deadletter",
            name="source",
            field=models.CharField(blank=True, max_length=255),
        ),
        migrations.AlterField(
            model_name="usagecontext",
            name="source",
            field=models.CharField(max_length=255),
        ),
        migrations.CreateModel(
            name="Duplicate",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant",
                        "intake_id",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("intake_id", models.BigIntegerField()),
                ("counted_at", models.DateTimeField()),
                (
                    "tenant",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="tenancy.tenant",
                    ),
                ),
            ],
        ),
    ]
