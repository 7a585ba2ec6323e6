"""Two indexes for the event log: what came in lately, and the late events.

The first is a block range index: some bytes for each thousand events. The second holds late events alone.
"""

from django.db import migrations

FORWARD = """
CREATE INDEX metering_event_received ON metering_event USING brin (received_at) WITH (autosummarize = on);
CREATE INDEX metering_event_late ON metering_event (context_id, occurred_at) WHERE is_late;
"""
BACK = "DROP INDEX metering_event_late; DROP INDEX metering_event_received;"


class Migration(migrations.Migration):
    dependencies = [("metering", "0010_corrections")]

    operations = [migrations.RunSQL(FORWARD, BACK)]
