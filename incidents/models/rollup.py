"""The rollup: sums over incidents by hour and by day, exact at every commit.

A trigger notes in :class:`RollupChange`, inside the transaction that opens or changes an
incident, what that adds to the sums and takes from them; it only ever inserts, so nobody waits
for anybody. Housekeeping folds the notes into the three tables of sums. Whoever reads adds the
notes that are not folded yet. ``incidents.services.rollup`` does all of that.

An alert that merely adds to an open incident's counters changes nothing here: ``calls`` and
``cost`` hold those of resolved incidents, which are final; the few unresolved ones are read as
they are.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.db import models

from config.tenancy.models import Tenant
from incidents.enums import ResolutionMethod, Severity, Status

UNCATEGORIZED: Final = "uncategorized"

# Times to acknowledge and to resolve are counted by how long they took: slot n holds those from
# SLOT_EDGES[n - 1] up to SLOT_EDGES[n], in microseconds; each is at most a sixteenth wide, from
# an eighth of a second to a year.
SLOT_EDGES: Final = tuple((16 + step) << octave for octave in range(13, 42) for step in range(16))
# A whole histogram is one number: slot n counts in the decimal digits from 10^(8n) on. Adding
# histograms is then adding numbers, and a database is good at that.
SLOT_DIGITS: Final = 8


def _tenant() -> models.ForeignKey[Tenant, Tenant]:
    # Kept by the incidents' own foreign key; checking each note again would be paid at opening.
    return models.ForeignKey(
        Tenant, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )


def _count() -> models.BigIntegerField[int, int]:
    return models.BigIntegerField(default=0)


def _total() -> models.DecimalField[str, str]:
    return models.DecimalField(max_digits=40, decimal_places=0, default=0)


class Histogram(models.Field):
    """A histogram as one number of thousands of digits; see ``SLOT_DIGITS``."""

    def db_type(self, connection: Any) -> str:
        return "numeric"


def _cents() -> models.DecimalField[str, str]:
    return models.DecimalField(max_digits=40, decimal_places=4, default=0)


class RollupChange(models.Model):
    """What one change of one incident adds to the sums (``sign`` 1) or takes from them (-1)."""

    id = models.BigAutoField(primary_key=True)
    tenant = _tenant()
    started_at = models.DateTimeField()
    severity = models.SmallIntegerField()
    status = models.CharField(max_length=12)
    category = models.CharField(max_length=50)
    cause_type = models.CharField(max_length=10)
    resolution_method = models.CharField(max_length=10)
    acknowledge_us = models.BigIntegerField(null=True)
    resolve_us = models.BigIntegerField(null=True)
    calls = models.BigIntegerField()
    cost = models.DecimalField(max_digits=30, decimal_places=4)
    sign = models.SmallIntegerField()

    class Meta:
        indexes: ClassVar = [
            # Every reading adds the notes of its tenant that are not folded yet.
            models.Index(fields=["tenant", "started_at"], name="rollup_change_started"),
        ]


class RollupHour(models.Model):
    """Sums over the incidents of a tenant that started in an hour."""

    pk = models.CompositePrimaryKey("tenant_id", "hour")
    tenant = _tenant()
    hour = models.DateTimeField()
    incidents = _count()
    low = _count()
    medium = _count()
    high = _count()
    critical = _count()
    open = _count()
    acknowledged = _count()
    resolved = _count()
    acknowledge_count = _count()
    acknowledge_us = _total()
    resolve_us = _total()
    calls = _count()
    cost = _cents()


class RollupDay(models.Model):
    """Sums over the incidents of a tenant and a severity that started on a day of UTC."""

    pk = models.CompositePrimaryKey("tenant_id", "day", "severity")
    tenant = _tenant()
    day = models.DateField()
    severity = models.SmallIntegerField(choices=Severity.choices)
    incidents = _count()
    open = _count()
    acknowledged = _count()
    auto = _count()
    manual = _count()
    rollback = _count()
    llm_run = _count()
    system = _count()
    human = _count()
    acknowledge_count = _count()
    acknowledge_us = _total()
    resolve_us = _total()
    acknowledge_slots = Histogram(default=0)
    resolve_slots = Histogram(default=0)


class RollupCategory(models.Model):
    """Sums over a tenant's incidents of a category and a resolution method, by day of UTC.

    ``resolution_method`` is empty for the unresolved ones.
    """

    pk = models.CompositePrimaryKey("tenant_id", "day", "category", "resolution_method")
    tenant = _tenant()
    day = models.DateField()
    category = models.CharField(max_length=50)
    resolution_method = models.CharField(
        max_length=10, choices=[("", "unresolved"), *ResolutionMethod.choices]
    )
    incidents = _count()
    resolve_us = _total()
    calls = _count()
    cost = _cents()

    class Meta:
        indexes: ClassVar = [
            # Every reading by category, from the index alone: the rows of a tenant are strewn.
            models.Index(
                fields=["tenant", "day"],
                include=[
                    "category",
                    "resolution_method",
                    "incidents",
                    "resolve_us",
                    "calls",
                    "cost",
                ],
                name="rollup_category_read",
            ),
        ]


def or_else(column: str, otherwise: str) -> str:
    """The SQL of a column, or of this text where it is null.

    Not COALESCE: security that goes by rows holds that to leak, and would keep a condition on it
    from an index.
    """
    return f"CASE WHEN {column} IS NULL THEN '{otherwise}' ELSE {column} END"


CHANGE_COLUMNS: Final = (
    "tenant_id, started_at, severity, status, category, cause_type, resolution_method, "
    "acknowledge_us, resolve_us, calls, cost, sign"
)


def change_of(row: str, sign: int | str) -> str:
    """The SQL of the columns of a change, for an incident that SQL calls ``row``.

    The sign, a number or its SQL, says whether the incident is added (1) or taken away (-1).
    """
    resolved = f"{row}.status = '{Status.RESOLVED}'"
    return (
        f"{row}.tenant_id, {row}.started_at, {row}.severity, {row}.status, "
        f"COALESCE({row}.category, '{UNCATEGORIZED}') AS category, {row}.cause_type, "
        f"COALESCE({row}.resolution_method, '') AS resolution_method, "
        f"{row}.acknowledge_us, {row}.resolve_us, "
        f"CASE WHEN {resolved} THEN {row}.calls_affected ELSE 0 END AS calls, "
        f"CASE WHEN {resolved} THEN {row}.cost_delta_cents ELSE 0 END AS cost, "
        f"{sign} AS sign"
    )


_COUNTED: Final = (
    "tenant_id",
    "started_at",
    "severity",
    "status",
    "category",
    "cause_type",
    "resolution_method",
    "acknowledge_us",
    "resolve_us",
)
# Of an incident that is resolved.
_FINAL: Final = ("calls_affected", "cost_delta_cents")
_EDGES: Final = "{" + ",".join(map(str, SLOT_EDGES)) + "}"


def _columns_of(row: str, *names: str) -> str:
    return "(" + ", ".join(f"{row}.{name}" for name in names) + ")"


# The triggers act for the tables' owner: who may change an incident need not be let at the sums.
CREATE_FUNCTIONS: Final = f"""
CREATE FUNCTION incidents_slot(us bigint) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ('1e' || ({SLOT_DIGITS} * width_bucket(us, '{_EDGES}'::bigint[]))::text)::numeric
$$;
CREATE FUNCTION incidents_rollup_opened() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO incidents_rollupchange ({CHANGE_COLUMNS})
    SELECT {change_of("i", 1)} FROM added i;
    RETURN NULL;
END $$;
CREATE FUNCTION incidents_rollup_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO incidents_rollupchange ({CHANGE_COLUMNS})
    SELECT {change_of("OLD", -1)} UNION ALL SELECT {change_of("NEW", 1)};
    RETURN NULL;
END $$;
CREATE FUNCTION incidents_rollup_deleted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO incidents_rollupchange ({CHANGE_COLUMNS})
    SELECT {change_of("i", -1)} FROM removed i;
    RETURN NULL;
END $$;
CREATE FUNCTION incidents_rollup_emptied() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    TRUNCATE incidents_rollupchange, incidents_rolluphour, incidents_rollupday,
        incidents_rollupcategory;
    RETURN NULL;
END $$;
CREATE TRIGGER incidents_rollup_opened AFTER INSERT ON incidents_incident
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION incidents_rollup_opened();
-- Asked for every incident that an alert is added to, so it is asked of columns alone: an alert
-- that changes none of them queues nothing.
CREATE TRIGGER incidents_rollup_changed AFTER UPDATE ON incidents_incident
    FOR EACH ROW WHEN (
        {_columns_of("OLD", *_COUNTED)} IS DISTINCT FROM {_columns_of("NEW", *_COUNTED)}
        OR NEW.status = '{Status.RESOLVED}'
            AND {_columns_of("OLD", *_FINAL)} IS DISTINCT FROM {_columns_of("NEW", *_FINAL)}
    ) EXECUTE FUNCTION incidents_rollup_changed();
CREATE TRIGGER incidents_rollup_deleted AFTER DELETE ON incidents_incident
    REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION incidents_rollup_deleted();
CREATE TRIGGER incidents_rollup_emptied AFTER TRUNCATE ON incidents_incident
    FOR EACH STATEMENT EXECUTE FUNCTION incidents_rollup_emptied();
INSERT INTO incidents_rollupchange ({CHANGE_COLUMNS})
    SELECT {change_of("i", 1)} FROM incidents_incident i
"""  # noqa: S608 - only our own constants are interpolated

DROP_FUNCTIONS: Final = "; ".join(
    [
        *(
            f"DROP TRIGGER incidents_rollup_{what} ON incidents_incident; "
            f"DROP FUNCTION incidents_rollup_{what}()"
            for what in ("opened", "changed", "deleted", "emptied")
        ),
        "DROP FUNCTION incidents_slot(bigint)",
    ]
)
