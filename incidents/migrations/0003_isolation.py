from django.db import migrations

from config.database.isolation import APPEND, isolate


class Migration(migrations.Migration):
    dependencies = [("incidents", "0002_search"), ("tenancy", "0002_isolation")]

    operations = [
        *isolate(
            "incidents_incident",
            "incidents_alert",
            "incidents_incidentrun",
            "incidents_incidentagent",
            "incidents_outcometally",
            "incidents_run",
        ),
        *isolate("incidents_event", privileges=APPEND),
    ]
