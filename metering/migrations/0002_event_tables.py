"""The tables that the writer fills, in SQL: partitions, column order, and keys that the ORM does not state."""

from django.db import migrations

CREATE = """
CREATE TABLE metering_identity (
    occurred_at timestamptz NOT NULL,
    fingerprint bigint NOT NULL,
    intake_id bigint NOT NULL,
    identity uuid NOT NULL,
    tenant_id integer NOT NULL,
    context_id integer NOT NULL,
    is_timestamp_given boolean NOT NULL,
    PRIMARY KEY (tenant_id, identity)
);

CREATE TABLE metering_event (
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    identity uuid NOT NULL,
    tenant_id integer NOT NULL,
    context_id integer NOT NULL,
    is_late boolean NOT NULL,
    quantity numeric NOT NULL,
    key text NOT NULL,
    properties jsonb NOT NULL
) PARTITION BY RANGE (occurred_at);

CREATE INDEX metering_event_context ON metering_event (context_id, occurred_at);

CREATE TABLE metering_bucket (
    hour timestamptz NOT NULL,
    tenant_id integer NOT NULL,
    meter_id integer NOT NULL,
    customer_id bigint NOT NULL,
    count bigint NOT NULL,
    latest_at timestamptz,
    sum numeric NOT NULL,
    max numeric,
    min numeric,
    latest_value numeric,
    latest_key text,
    dimensions text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, customer_id, meter_id, hour, dimensions)
);
"""

DROP = "DROP TABLE metering_bucket; DROP TABLE metering_event; DROP TABLE metering_identity;"


class Migration(migrations.Migration):
    dependencies = [("metering", "0001_initial")]

    operations = [migrations.RunSQL(CREATE, DROP)]
