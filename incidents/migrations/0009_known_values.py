"""What the walk through the database's own catalogue had found missing."""

from django.db import migrations, models
from django.db.models import Q

from incidents.enums import RuleMode, RunStatus
from incidents.models import documents


class Migration(migrations.Migration):
    dependencies = [("incidents", "0008_reading_indexes")]

    operations = [
        migrations.AddConstraint(
            model_name="rulerevision",
            constraint=models.CheckConstraint(
                condition=Q(mode__in=RuleMode.values), name="rule_revision_mode_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="run",
            constraint=models.CheckConstraint(
                condition=Q(completion__isnull=True) | Q(completion__in=RunStatus.values),
                name="run_completion_known",
            ),
        ),
        migrations.RunSQL(documents.KEEP_FOUND, documents.LEAVE_FOUND),
    ]
