"""The metrics of the hours at the edge of a window, from the index of started_at alone."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("incidents", "0013_alerts_by_time"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="incident",
            name="incident_started",
        ),
        migrations.AddIndex(
            model_name="incident",
            index=models.Index(
                fields=["tenant", "started_at"],
                include=("severity", "acknowledge_us", "resolve_us"),
                name="incident_started",
            ),
        ),
    ]
