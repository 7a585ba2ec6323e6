"""Top-up rules, top-ups, and grants that recur."""

import aforo.kernel.clock
import aforo.kernel.identifiers
import billing.models.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0016_subscription_items'),
        ('tenancy', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='WalletTopUp',
            fields=[
                ('id', models.UUIDField(default=aforo.kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ('amount', billing.models.fields.AmountField(decimal_places=4, max_digits=28)),
                ('status', models.CharField(choices=[('PENDING', 'Pending'), ('PAID', 'Paid'), ('FAILED', 'Failed')], default='PENDING', max_length=7)),
                ('is_automatic', models.BooleanField(default=False, help_text="Asked for by the wallet's rule.")),
                ('requested_at', models.DateTimeField(default=aforo.kernel.clock.now, editable=False)),
                ('closed_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('payment_reference', models.CharField(blank=True, help_text='Of the payment that confirmed it; pays one top-up.', max_length=255, null=True)),
                ('failure', models.CharField(blank=True, max_length=200)),
            ],
            options={
                'ordering': ['requested_at', 'id'],
            },
        ),
        migrations.CreateModel(
            name='WalletTopUpRule',
            fields=[
                ('wallet', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='top_up_rule', serialize=False, to='billing.wallet')),
                ('threshold', billing.models.fields.AmountField(decimal_places=4, help_text='Asked for while less than this is available.', max_digits=28)),
                ('amount', billing.models.fields.AmountField(decimal_places=4, help_text='Of each top-up.', max_digits=28)),
                ('cool_off_minutes', models.PositiveIntegerField(default=60, help_text='From one top-up to the next, however the first one ended.')),
                ('monthly_max', billing.models.fields.AmountField(blank=True, decimal_places=4, help_text="Asked for at most in a calendar month of the customer's; empty: no limit.", max_digits=28, null=True)),
                ('is_active', models.BooleanField(default=True)),
                ('retry_at', models.DateTimeField(editable=False, help_text='Too little is available, and this is when it may be asked for.', null=True)),
            ],
        ),
        migrations.CreateModel(
            name='RecurringGrant',
            fields=[
                ('id', models.UUIDField(default=aforo.kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('PROMO', 'Promotional'), ('BONUS', 'Bonus')], default='PROMO', max_length=5)),
                ('amount', billing.models.fields.AmountField(decimal_places=4, max_digits=28)),
                ('starts_on', models.DateField(help_text='Each month begins on its day, or the last day of a shorter month.')),
                ('ends_on', models.DateField(blank=True, help_text='First day without it; empty: open.', null=True)),
                ('is_kept', models.BooleanField(default=False, help_text='What a month leaves unused stays; otherwise it expires with the month.')),
                ('months_given', models.PositiveIntegerField(default=0, editable=False)),
                ('next_at', models.DateTimeField(editable=False, null=True)),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.tenant')),
                ('wallet', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='recurring_grants', to='billing.wallet')),
            ],
            options={
                'ordering': ['starts_on', 'id'],
            },
        ),
        migrations.AddField(
            model_name='walletgrant',
            name='recurring',
            field=models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='grants', to='billing.recurringgrant'),
        ),
        migrations.AddConstraint(
            model_name='walletgrant',
            constraint=models.UniqueConstraint(fields=('recurring', 'starts_at'), name='wallet_grant_once_a_month'),
        ),
        migrations.AddField(
            model_name='wallettopup',
            name='grant',
            field=models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='top_up', to='billing.walletgrant'),
        ),
        migrations.AddField(
            model_name='wallettopup',
            name='tenant',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.tenant'),
        ),
        migrations.AddField(
            model_name='wallettopup',
            name='wallet',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='top_ups', to='billing.wallet'),
        ),
        migrations.AddField(
            model_name='wallettopuprule',
            name='tenant',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenancy.tenant'),
        ),
        migrations.AddIndex(
            model_name='recurringgrant',
            index=models.Index(fields=['next_at'], name='recurring_grant_next'),
        ),
        migrations.AddConstraint(
            model_name='recurringgrant',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='recurring_grant_positive', violation_error_message='A grant is above zero.'),
        ),
        migrations.AddConstraint(
            model_name='recurringgrant',
            constraint=models.CheckConstraint(condition=models.Q(('ends_on__isnull', True), ('ends_on__gt', models.F('starts_on')), _connector='OR'), name='recurring_grant_term', violation_error_message='A term ends after it starts.'),
        ),
        migrations.AddConstraint(
            model_name='wallettopup',
            constraint=models.UniqueConstraint(condition=models.Q(('status', 'PENDING')), fields=('wallet',), name='wallet_top_up_one_in_flight'),
        ),
        migrations.AddConstraint(
            model_name='wallettopup',
            constraint=models.UniqueConstraint(fields=('tenant', 'payment_reference'), name='wallet_top_up_payment'),
        ),
        migrations.AddConstraint(
            model_name='wallettopup',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='wallet_top_up_positive', violation_error_message='A top-up is above zero.'),
        ),
        migrations.AddConstraint(
            model_name='wallettopup',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('closed_at__isnull', False), ('grant__isnull', False), ('payment_reference__isnull', False), ('status', 'PAID')), models.Q(('closed_at__isnull', True), ('grant__isnull', True), ('status', 'PENDING')), models.Q(('closed_at__isnull', False), ('grant__isnull', True), ('status', 'FAILED')), _connector='OR'), name='wallet_top_up_paid'),
        ),
        migrations.AddConstraint(
            model_name='wallettopuprule',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gt', 0), ('threshold__gt', 0)), name='wallet_top_up_rule_positive', violation_error_message='Threshold and amount are above zero.'),
        ),
        migrations.AddConstraint(
            model_name='wallettopuprule',
            constraint=models.CheckConstraint(condition=models.Q(('monthly_max__isnull', True), ('monthly_max__gte', models.F('amount')), _connector='OR'), name='wallet_top_up_rule_max', violation_error_message='The monthly maximum leaves room for one top-up.'),
        ),
    ]
