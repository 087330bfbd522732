"""What the services of facts share: sending one report of theirs through the one door."""

from __future__ import annotations

from dataclasses import dataclass

from config import clock
from config.tenancy.models import Tenant
from incidents.enums import Outcome
from incidents.models import Incident
from incidents.services import aggregation
from incidents.services.aggregation import writing
from incidents.services.reports import Report


@dataclass(frozen=True, slots=True)
class Reported:
    """What became of a report, and the incident it was counted in; None when it was prevented."""

    outcome: Outcome
    incident: Incident | None

    @property
    def first(self) -> Outcome:
        """As :attr:`outcome`, for a fact that has to be recorded although its call was known."""
        if self.outcome != Outcome.DUPLICATE:
            return self.outcome
        return Outcome.PREVENTED if self.incident is None else Outcome.AGGREGATED


def send(*, tenant: Tenant, report: Report, via: str) -> Reported:
    """Folds the report in, in the caller's transaction."""
    absorbed = aggregation.absorb(tenant=tenant, alerts=[report], via=via)
    id_ = absorbed.incident_ids[0]
    incident = None if id_ is None else absorbed.incidents[id_]
    return Reported(Outcome(absorbed.outcomes[0]), incident)


def repeat(*, tenant: Tenant, incident: Incident | None) -> Reported:
    """Counts a repeat of a report whose fact is recorded already."""
    writing.write_tally(tenant.pk, {Outcome.DUPLICATE: 1}, at=clock.now())
    return Reported(Outcome.DUPLICATE, incident)
