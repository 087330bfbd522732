"""For the list of what is not resolved, the worst first, and for counting recoveries."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("incidents", "0011_openings_and_searches"),
        ("tenancy", "0005_retention"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="evidence",
            name="evidence_incident",
        ),
        migrations.AddIndex(
            model_name="evidence",
            index=models.Index(
                fields=["incident", "created_at", "id"],
                include=("recovery_executed",),
                name="evidence_incident",
            ),
        ),
        migrations.AddIndex(
            model_name="incident",
            index=models.Index(
                condition=models.Q(("status", "resolved"), _negated=True),
                fields=["severity", "id"],
                name="incident_worst",
            ),
        ),
    ]
