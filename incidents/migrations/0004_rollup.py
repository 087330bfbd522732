import django.core.validators
import django.db.models.deletion
import django.db.models.functions.comparison
from django.db import migrations, models

import config.clock
import incidents.models.rollup
from config.database.isolation import READ, isolate
from incidents.models import documents, rollup


class Migration(migrations.Migration):
    dependencies = [
        ("incidents", "0003_isolation"),
        ("tenancy", "0002_isolation"),
    ]

    operations = [
        migrations.CreateModel(
            name="RollupCategory",
            fields=[
                (
                    "tenant",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenancy.tenant",
                    ),
                ),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id",
                        "day",
                        "category",
                        "resolution_method",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("day", models.DateField()),
                ("category", models.CharField(max_length=50)),
                (
                    "resolution_method",
                    models.CharField(
                        choices=[
                            ("", "unresolved"),
                            ("auto", "Auto"),
                            ("manual", "Manual"),
                            ("rollback", "Rollback"),
                        ],
                        max_length=10,
                    ),
                ),
                ("incidents", models.BigIntegerField(default=0)),
                ("resolve_us", models.DecimalField(decimal_places=0, default=0, max_digits=40)),
                ("calls", models.BigIntegerField(default=0)),
                ("cost", models.DecimalField(decimal_places=4, default=0, max_digits=40)),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["tenant", "day"],
                        include=(
                            "category",
                            "resolution_method",
                            "incidents",
                            "resolve_us",
                            "calls",
                            "cost",
                        ),
                        name="rollup_category_read",
                    )
                ]
            },
        ),
        migrations.CreateModel(
            name="RollupChange",
            fields=[
                (
                    "tenant",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenancy.tenant",
                    ),
                ),
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("started_at", models.DateTimeField()),
                ("severity", models.SmallIntegerField()),
                ("status", models.CharField(max_length=12)),
                ("category", models.CharField(max_length=50)),
                ("cause_type", models.CharField(max_length=10)),
                ("resolution_method", models.CharField(max_length=10)),
                ("acknowledge_us", models.BigIntegerField(null=True)),
                ("resolve_us", models.BigIntegerField(null=True)),
                ("calls", models.BigIntegerField()),
                ("cost", models.DecimalField(decimal_places=4, max_digits=30)),
                ("sign", models.SmallIntegerField()),
            ],
            options={
                "indexes": [
                    models.Index(fields=["tenant", "started_at"], name="rollup_change_started")
                ]
            },
        ),
        migrations.CreateModel(
            name="RollupDay",
            fields=[
                (
                    "tenant",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenancy.tenant",
                    ),
                ),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id",
                        "day",
                        "severity",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("day", models.DateField()),
                (
                    "severity",
                    models.SmallIntegerField(
                        choices=[(1, "low"), (2, "medium"), (3, "high"), (4, "critical")]
                    ),
                ),
                ("incidents", models.BigIntegerField(default=0)),
                ("open", models.BigIntegerField(default=0)),
                ("acknowledged", models.BigIntegerField(default=0)),
                ("auto", models.BigIntegerField(default=0)),
                ("manual", models.BigIntegerField(default=0)),
                ("rollback", models.BigIntegerField(default=0)),
                ("llm_run", models.BigIntegerField(default=0)),
                ("system", models.BigIntegerField(default=0)),
                ("human", models.BigIntegerField(default=0)),
                ("acknowledge_count", models.BigIntegerField(default=0)),
                ("acknowledge_us", models.DecimalField(decimal_places=0, default=0, max_digits=40)),
                ("resolve_us", models.DecimalField(decimal_places=0, default=0, max_digits=40)),
                ("acknowledge_slots", incidents.models.rollup.Histogram(default=0)),
                ("resolve_slots", incidents.models.rollup.Histogram(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="RollupHour",
            fields=[
                (
                    "tenant",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenancy.tenant",
                    ),
                ),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id",
                        "hour",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("hour", models.DateTimeField()),
                ("incidents", models.BigIntegerField(default=0)),
                ("low", models.BigIntegerField(default=0)),
                ("medium", models.BigIntegerField(default=0)),
                ("high", models.BigIntegerField(default=0)),
                ("critical", models.BigIntegerField(default=0)),
                ("open", models.BigIntegerField(default=0)),
                ("acknowledged", models.BigIntegerField(default=0)),
                ("resolved", models.BigIntegerField(default=0)),
                ("acknowledge_count", models.BigIntegerField(default=0)),
                ("acknowledge_us", models.DecimalField(decimal_places=0, default=0, max_digits=40)),
                ("resolve_us", models.DecimalField(decimal_places=0, default=0, max_digits=40)),
                ("calls", models.BigIntegerField(default=0)),
                ("cost", models.DecimalField(decimal_places=4, default=0, max_digits=40)),
            ],
        ),
        migrations.CreateModel(
            name="SeverityTarget",
            fields=[
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="severity_targets",
                        to="tenancy.tenant",
                    ),
                ),
                (
                    "id",
                    models.UUIDField(
                        default=config.clock.uuid7,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "severity",
                    models.SmallIntegerField(
                        choices=[(1, "low"), (2, "medium"), (3, "high"), (4, "critical")]
                    ),
                ),
                (
                    "acknowledge_seconds",
                    models.IntegerField(
                        blank=True,
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                    ),
                ),
                (
                    "resolve_seconds",
                    models.IntegerField(
                        blank=True,
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                    ),
                ),
            ],
            options={
                "ordering": ["-severity"],
                "constraints": [
                    models.UniqueConstraint(fields=("tenant", "severity"), name="target_identity"),
                    models.CheckConstraint(
                        condition=models.Q(("severity__in", [1, 2, 3, 4])),
                        name="target_severity_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("acknowledge_seconds__isnull", True),
                            ("acknowledge_seconds__gte", 1),
                            _connector="OR",
                        ),
                        name="target_acknowledge_positive",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("resolve_seconds__isnull", True),
                            ("resolve_seconds__gte", 1),
                            _connector="OR",
                        ),
                        name="target_resolve_positive",
                    ),
                ],
            },
        ),
        migrations.AddField(
            model_name="incident",
            name="acknowledge_us",
            field=models.GeneratedField(
                db_persist=True,
                expression=models.Func(
                    models.F("acknowledged_at"),
                    models.F("created_at"),
                    arg_joiner=" - ",
                    output_field=models.BigIntegerField(),
                    template="(extract(epoch FROM %(expressions)s) * 1000000)::bigint",
                ),
                output_field=models.BigIntegerField(null=True),
            ),
        ),
        migrations.AddField(
            model_name="incident",
            name="resolve_us",
            field=models.GeneratedField(
                db_persist=True,
                expression=models.Func(
                    models.F("resolved_at"),
                    models.F("created_at"),
                    arg_joiner=" - ",
                    output_field=models.BigIntegerField(),
                    template="(extract(epoch FROM %(expressions)s) * 1000000)::bigint",
                ),
                output_field=models.BigIntegerField(null=True),
            ),
        ),
        migrations.AddIndex(
            model_name="incident",
            index=models.Index(
                condition=models.Q(("status", "resolved"), _negated=True),
                fields=["tenant", "started_at"],
                name="incident_unresolved_started",
            ),
        ),
        migrations.AddIndex(
            model_name="incident",
            index=models.Index(
                models.F("tenant"),
                django.db.models.functions.comparison.Coalesce(
                    "category", models.Value("uncategorized")
                ),
                django.db.models.functions.comparison.Coalesce(
                    "resolution_method", models.Value("")
                ),
                models.F("started_at"),
                models.F("id"),
                name="incident_category",
            ),
        ),
        migrations.AddIndex(
            model_name="incident",
            index=models.Index(
                condition=models.Q(("acknowledge_us__isnull", False)),
                fields=["tenant", "acknowledge_us"],
                include=("started_at", "severity"),
                name="incident_acknowledge_time",
            ),
        ),
        migrations.AddIndex(
            model_name="incident",
            index=models.Index(
                condition=models.Q(("resolve_us__isnull", False)),
                fields=["tenant", "resolve_us"],
                include=("started_at", "severity"),
                name="incident_resolve_time",
            ),
        ),
        migrations.RunSQL(documents.CREATE_FOUND, documents.DROP_FOUND),
        migrations.RunSQL(rollup.CREATE_FUNCTIONS, rollup.DROP_FUNCTIONS),
        *isolate(
            "incidents_rolluphour",
            "incidents_rollupday",
            "incidents_rollupcategory",
            privileges=READ,
        ),
        *isolate("incidents_rollupchange", privileges=READ),
        *isolate("incidents_severitytarget"),
    ]
