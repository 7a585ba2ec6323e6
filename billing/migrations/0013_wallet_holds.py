"""Holds, burns of every kind, and a wallet's statement as a view."""

import aforo.kernel.clock
import aforo.kernel.identifiers
import billing.models.fields
import django.db.models.deletion
from django.db import migrations, models


CREATE = """
CREATE TRIGGER wallet_hold_part_append_only BEFORE UPDATE OR DELETE ON billing_walletholdpart
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE VIEW billing_walletmovement AS
SELECT moved.*, sum(amount) OVER (PARTITION BY wallet_id ORDER BY at, id) AS balance
  FROM (
    SELECT id, tenant_id, wallet_id, id AS grant_id, 'GRANT' AS kind, NULL::uuid AS invoice_id, NULL::uuid AS hold_id,
           amount, '' AS reason, starts_at AS at
      FROM billing_walletgrant
    UNION ALL
    -- A grant may be taken back before it starts; it then comes and goes at once.
    SELECT burn.id, burn.tenant_id, wallet_id, grant_id, burn.kind, invoice_id, hold_id,
           -burn.amount, reason, greatest(burned_at, starts_at)
      FROM billing_walletburn burn JOIN billing_walletgrant granted ON granted.id = grant_id
  ) moved;
"""

DROP = """
DROP VIEW billing_walletmovement;
DROP TRIGGER wallet_hold_part_append_only ON billing_walletholdpart;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0012_further_models'),
        ('tenancy', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='WalletHold',
            fields=[
                ('id', models.UUIDField(default=aforo.kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ('reference', models.CharField(help_text="The tenant's own name of the use, once a wallet.", max_length=255)),
                ('amount', billing.models.fields.AmountField(decimal_places=4, max_digits=28)),
                ('settled_amount', billing.models.fields.AmountField(decimal_places=4, default=0, max_digits=28)),
                ('status', models.CharField(choices=[('PENDING', 'Pending'), ('SETTLED', 'Settled'), ('RELEASED', 'Released'), ('EXPIRED', 'Expired')], default='PENDING', max_length=8)),
                ('created_at', models.DateTimeField(default=aforo.kernel.clock.now, editable=False)),
                ('expires_at', models.DateTimeField()),
                ('closed_at', models.DateTimeField(editable=False, null=True)),
            ],
            options={
                'ordering': ['created_at', 'id'],
            },
        ),
        migrations.CreateModel(
            name='WalletHoldPart',
            fields=[
                ('id', models.UUIDField(default=aforo.kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ('amount', billing.models.fields.AmountField(decimal_places=4, max_digits=28)),
            ],
        ),
        migrations.AddField(
            model_name='walletburn',
            name='kind',
            field=models.CharField(choices=[('INVOICE', 'Invoice'), ('HOLD', 'Settled hold'), ('EXPIRY', 'Expired'), ('REDUCTION', 'Taken back')], default='INVOICE', max_length=9),
        ),
        migrations.AddField(
            model_name='walletburn',
            name='reason',
            field=models.CharField(blank=True, help_text='Of what was taken back.', max_length=200),
        ),
        migrations.AddField(
            model_name='walletgrant',
            name='closed_at',
            field=models.DateTimeField(editable=False, help_text='Expired, and its rest is booked as breakage.', null=True),
        ),
        migrations.AlterField(
            model_name='walletburn',
            name='invoice',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='wallet_burns', to='billing.invoice'),
        ),
        migrations.AddIndex(
            model_name='walletgrant',
            index=models.Index(condition=models.Q(('closed_at', None)), fields=['expires_at'], name='wallet_grant_expiring'),
        ),
        migrations.AddField(
            model_name='wallethold',
            name='tenant',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.tenant'),
        ),
        migrations.AddField(
            model_name='wallethold',
            name='wallet',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='holds', to='billing.wallet'),
        ),
        migrations.AddField(
            model_name='walletburn',
            name='hold',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='burns', to='billing.wallethold'),
        ),
        migrations.AddConstraint(
            model_name='walletburn',
            constraint=models.UniqueConstraint(fields=('grant', 'hold'), name='wallet_burn_once_a_hold'),
        ),
        migrations.AddConstraint(
            model_name='walletburn',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('hold__isnull', True), ('invoice__isnull', False), ('kind', 'INVOICE')), models.Q(('hold__isnull', False), ('invoice__isnull', True), ('kind', 'HOLD')), models.Q(('hold__isnull', True), ('invoice__isnull', True), ('kind__in', ['EXPIRY', 'REDUCTION'])), _connector='OR'), name='wallet_burn_source'),
        ),
        migrations.AddField(
            model_name='walletholdpart',
            name='grant',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='hold_parts', to='billing.walletgrant'),
        ),
        migrations.AddField(
            model_name='walletholdpart',
            name='hold',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='parts', to='billing.wallethold'),
        ),
        migrations.AddField(
            model_name='walletholdpart',
            name='tenant',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.tenant'),
        ),
        migrations.AddIndex(
            model_name='wallethold',
            index=models.Index(condition=models.Q(('status', 'PENDING')), fields=['expires_at'], name='wallet_hold_expiring'),
        ),
        migrations.AddConstraint(
            model_name='wallethold',
            constraint=models.UniqueConstraint(fields=('wallet', 'reference'), name='wallet_hold_reference'),
        ),
        migrations.AddConstraint(
            model_name='wallethold',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='wallet_hold_positive', violation_error_message='A hold is above zero.'),
        ),
        migrations.AddConstraint(
            model_name='wallethold',
            constraint=models.CheckConstraint(condition=models.Q(('expires_at__gt', models.F('created_at'))), name='wallet_hold_term', violation_error_message='A hold expires in the future.'),
        ),
        migrations.AddConstraint(
            model_name='wallethold',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('settled_amount__gt', 0), ('settled_amount__lte', models.F('amount')), ('status', 'SETTLED')), models.Q(models.Q(('status', 'SETTLED'), _negated=True), ('settled_amount', 0)), _connector='OR'), name='wallet_hold_settled'),
        ),
        migrations.AddConstraint(
            model_name='wallethold',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('closed_at__isnull', True), ('status', 'PENDING')), models.Q(models.Q(('status', 'PENDING'), _negated=True), ('closed_at__isnull', False)), _connector='OR'), name='wallet_hold_closed'),
        ),
        migrations.AddConstraint(
            model_name='walletholdpart',
            constraint=models.UniqueConstraint(fields=('hold', 'grant'), name='wallet_hold_part_once'),
        ),
        migrations.AddConstraint(
            model_name='walletholdpart',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='wallet_hold_part_positive'),
        ),
        migrations.CreateModel(
            name='WalletMovement',
            fields=[
                ('id', models.UUIDField(primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('GRANT', 'Granted'), ('INVOICE', 'Invoice'), ('HOLD', 'Settled hold'), ('EXPIRY', 'Expired'), ('REDUCTION', 'Taken back')], max_length=9)),
                ('amount', billing.models.fields.AmountField(decimal_places=4, max_digits=28)),
                ('reason', models.CharField(max_length=200)),
                ('at', models.DateTimeField()),
                ('balance', billing.models.fields.AmountField(decimal_places=4, max_digits=28)),
            ],
            options={
                'ordering': ['at', 'id'],
                'managed': False,
            },
        ),
        migrations.RunSQL(CREATE, DROP),
    ]
