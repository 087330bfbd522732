import django.contrib.postgres.indexes
from django.db import migrations

from incidents.models import documents


class Migration(migrations.Migration):
    dependencies = [
        ("incidents", "0001_incidents_alerts_runs"),
        ("tenancy", "0001_tenants_keys_idempotency"),
    ]

    operations = [
        migrations.RunSQL(documents.CREATE_FUNCTIONS, documents.DROP_FUNCTIONS),
        migrations.AddIndex(
            model_name="event",
            index=django.contrib.postgres.indexes.GinIndex(
                documents.EventDocument(),
                condition=documents.SEARCHED_EVENTS,
                name="event_words",
            ),
        ),
        migrations.AddIndex(
            model_name="incident",
            index=django.contrib.postgres.indexes.GinIndex(
                documents.IncidentDocument(), name="incident_words"
            ),
        ),
    ]
