"""Corrections of accepted events; the database holds that none is ever changed."""

import aforo.kernel.clock
import aforo.kernel.identifiers
import django.db.models.deletion
from django.db import migrations, models


CREATE = """
CREATE FUNCTION refuse_correction_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'corrections are never changed; correct the event again' USING ERRCODE = 'check_violation';
END $$;

CREATE TRIGGER correction_append_only BEFORE UPDATE OR DELETE ON metering_correction
    FOR EACH ROW EXECUTE FUNCTION refuse_correction_change();
"""

DROP = """
DROP TRIGGER correction_append_only ON metering_correction;
DROP FUNCTION refuse_correction_change();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('metering', '0009_dead_letter_runs'),
        ('tenancy', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Correction',
            fields=[
                ('id', models.UUIDField(default=aforo.kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ('sequence', models.PositiveBigIntegerField()),
                ('kind', models.CharField(choices=[('AMEND', 'Amended'), ('VOID', 'Voided')], max_length=5)),
                ('idempotency_key', models.CharField(help_text='Of the event.', max_length=255)),
                ('superseded', models.UUIDField()),
                ('superseded_at', models.DateTimeField()),
                ('replacement', models.UUIDField(null=True)),
                ('replacement_at', models.DateTimeField(null=True)),
                ('before', models.TextField()),
                ('after', models.TextField(blank=True)),
                ('reason', models.TextField()),
                ('actor', models.CharField(max_length=200)),
                ('created_at', models.DateTimeField(default=aforo.kernel.clock.now)),
                ('replacement_context', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='metering.usagecontext')),
                ('superseded_context', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='metering.usagecontext')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.tenant')),
            ],
            options={
                'verbose_name': 'correction',
                'ordering': ['-sequence'],
                'indexes': [models.Index(fields=['tenant', 'idempotency_key', 'sequence'], name='correction_event')],
                'constraints': [models.UniqueConstraint(fields=('tenant', 'sequence'), name='correction_sequence'), models.UniqueConstraint(fields=('tenant', 'superseded'), name='correction_superseded'), models.UniqueConstraint(fields=('tenant', 'replacement'), name='correction_replacement')],
            },
        ),
        migrations.RunSQL(CREATE, DROP),
    ]
