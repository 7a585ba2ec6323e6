"""Credit notes; the database itself keeps what is issued."""

import aforo.kernel.clock
import aforo.kernel.identifiers
import billing.models.fields
import django.db.models.deletion
from django.db import migrations, models


CREATE = """
-- Once it is issued, a credit note only goes on to be applied.
CREATE FUNCTION refuse_credit_note_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    moving text[] := ARRAY['status', 'wallet_amount', 'applied_at'];
BEGIN
    IF OLD.status <> 'DRAFT' AND (
        TG_OP = 'DELETE' OR OLD.status = 'APPLIED' OR (to_jsonb(NEW) - moving) IS DISTINCT FROM (to_jsonb(OLD) - moving)
    ) THEN
        RAISE EXCEPTION 'credit note % is issued and never changes', OLD.number USING ERRCODE = 'check_violation';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER credit_note_issued_is_final BEFORE UPDATE OR DELETE ON billing_creditnote
    FOR EACH ROW EXECUTE FUNCTION refuse_credit_note_change();

CREATE FUNCTION refuse_credit_note_part_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    issued text;
BEGIN
    SELECT number INTO issued FROM billing_creditnote
     WHERE id = CASE TG_OP WHEN 'INSERT' THEN NEW.note_id ELSE OLD.note_id END AND status <> 'DRAFT';
    IF FOUND THEN
        RAISE EXCEPTION 'credit note % is issued and never changes', issued USING ERRCODE = 'check_violation';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER credit_note_line_issued_is_final BEFORE INSERT OR UPDATE OR DELETE ON billing_creditnoteline
    FOR EACH ROW EXECUTE FUNCTION refuse_credit_note_part_change();
CREATE TRIGGER credit_note_tax_issued_is_final BEFORE INSERT OR UPDATE OR DELETE ON billing_creditnotetax
    FOR EACH ROW EXECUTE FUNCTION refuse_credit_note_part_change();
"""

DROP = """
DROP TRIGGER credit_note_tax_issued_is_final ON billing_creditnotetax;
DROP TRIGGER credit_note_line_issued_is_final ON billing_creditnoteline;
DROP FUNCTION refuse_credit_note_part_change();
DROP TRIGGER credit_note_issued_is_final ON billing_creditnote;
DROP FUNCTION refuse_credit_note_change();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0014_tax_kinds'),
        ('tenancy', '0002_customer_vat'),
    ]

    operations = [
        migrations.CreateModel(
            name='CreditNoteSequence',
            fields=[
                ('tenant', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='+', serialize=False, to='tenancy.tenant')),
                ('last_number', models.PositiveBigIntegerField(default=0)),
                ('head_hash', models.CharField(blank=True, max_length=64)),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='CreditNote',
            fields=[
                ('id', models.UUIDField(default=aforo.kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ('reason', models.CharField(max_length=300)),
                ('status', models.CharField(choices=[('DRAFT', 'Draft'), ('ISSUED', 'Issued'), ('APPLIED', 'Applied')], default='DRAFT', max_length=7)),
                ('number', models.CharField(help_text='Given at issue, without gaps.', max_length=32, null=True, blank=True)),
                ('sequence', models.PositiveBigIntegerField(null=True, blank=True)),
                ('net', billing.models.fields.AmountField(decimal_places=4, help_text='Of the lines, discounts included.', max_digits=28)),
                ('tax', billing.models.fields.AmountField(decimal_places=4, help_text="What the invoice's taxes fall by, contained ones included.", max_digits=28)),
                ('total', billing.models.fields.AmountField(decimal_places=4, max_digits=28)),
                ('due_amount', billing.models.fields.AmountField(decimal_places=4, default=0, help_text='Taken off what was due on the invoice.', max_digits=28)),
                ('wallet_amount', billing.models.fields.AmountField(decimal_places=4, default=0, help_text="Put into the payer's wallet.", max_digits=28)),
                ('created_at', models.DateTimeField(default=aforo.kernel.clock.now, editable=False)),
                ('issued_at', models.DateTimeField(null=True, blank=True)),
                ('applied_at', models.DateTimeField(null=True, blank=True)),
                ('content_hash', models.CharField(blank=True, help_text='SHA-256 of what was issued.', max_length=64)),
                ('previous_hash', models.CharField(blank=True, max_length=64)),
                ('chain_hash', models.CharField(blank=True, help_text='Joins it to the credit note before.', max_length=64)),
                ('invoice', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='credit_notes', to='billing.invoice')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.tenant')),
            ],
            options={
                'ordering': ['-created_at', 'id'],
            },
        ),
        migrations.CreateModel(
            name='CreditNoteLine',
            fields=[
                ('id', models.UUIDField(default=aforo.kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ('amount', billing.models.fields.AmountField(decimal_places=4, help_text='Given back of the line, net; negative for a line below zero.', max_digits=28)),
                ('line', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='credits', to='billing.invoiceline')),
                ('note', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='lines', to='billing.creditnote')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.tenant')),
            ],
            options={
                'ordering': ['line__position'],
            },
        ),
        migrations.CreateModel(
            name='CreditNoteTax',
            fields=[
                ('id', models.UUIDField(default=aforo.kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ('amount', billing.models.fields.AmountField(decimal_places=4, max_digits=28)),
                ('note', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='taxes', to='billing.creditnote')),
                ('tax', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='credits', to='billing.invoicetax')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.tenant')),
            ],
            options={
                'ordering': ['tax__position'],
            },
        ),
        migrations.AddConstraint(
            model_name='creditnote',
            constraint=models.UniqueConstraint(fields=('tenant', 'number'), name='credit_note_number'),
        ),
        migrations.AddConstraint(
            model_name='creditnote',
            constraint=models.UniqueConstraint(fields=('tenant', 'sequence'), name='credit_note_sequence'),
        ),
        migrations.AddConstraint(
            model_name='creditnote',
            constraint=models.CheckConstraint(condition=models.Q(('total__gt', 0)), name='credit_note_positive'),
        ),
        migrations.AddConstraint(
            model_name='creditnoteline',
            constraint=models.UniqueConstraint(fields=('note', 'line'), name='credit_note_line_once'),
        ),
        migrations.AddConstraint(
            model_name='creditnotetax',
            constraint=models.UniqueConstraint(fields=('note', 'tax'), name='credit_note_tax_once'),
        ),
        migrations.RunSQL(CREATE, DROP),
    ]
