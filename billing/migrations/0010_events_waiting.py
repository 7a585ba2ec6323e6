from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0009_subscription_touched'),
    ]

    operations = [
        migrations.RemoveField(
            model_name='billrun',
            name='log_entries_waiting',
        ),
        migrations.AddField(
            model_name='billrun',
            name='events_waiting',
            field=models.PositiveBigIntegerField(help_text='Events in the log and not in rows when the run started; empty: not known.', null=True),
        ),
    ]
