"""A priced meter keeps its percentile and its conversion, too."""

from django.db import migrations

FUNCTION = """
CREATE OR REPLACE FUNCTION refuse_priced_meter_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF ({new}) IS DISTINCT FROM ({old}) AND EXISTS (
        SELECT FROM billing_charge c JOIN billing_rateplanversion v ON v.id = c.version_id
         WHERE c.meter_id = OLD.id AND v.status <> 'DRAFT'
    ) THEN
        RAISE EXCEPTION 'A published charge bills by the meter %; its {terms} stay.', OLD.key
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
"""


def function(columns: tuple[str, ...], terms: str) -> str:
    return FUNCTION.format(
        new=", ".join(f"NEW.{column}" for column in columns),
        old=", ".join(f"OLD.{column}" for column in columns),
        terms=terms,
    )


BEFORE = function(("aggregation", "value_property"), "aggregation and value property")
AFTER = function(
    ("aggregation", "value_property", "percentile", "conversion"),
    "aggregation, value property, percentile and conversion",
)


class Migration(migrations.Migration):
    dependencies = [("billing", "0019_tax_quotes"), ("metering", "0013_meter_conversion")]

    operations = [migrations.RunSQL(AFTER, BEFORE)]
