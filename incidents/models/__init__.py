"""The tables of incidents: reports, what they were folded into, and the facts behind them."""

from incidents.models.alert import Alert, OutcomeTally
from incidents.models.incident import Event, Incident, IncidentAgent, IncidentRun
from incidents.models.rollup import RollupCategory, RollupChange, RollupDay, RollupHour
from incidents.models.run import Run
from incidents.models.target import SeverityTarget

__all__ = [
    "Alert",
    "Event",
    "Incident",
    "IncidentAgent",
    "IncidentRun",
    "OutcomeTally",
    "RollupCategory",
    "RollupChange",
    "RollupDay",
    "RollupHour",
    "Run",
    "SeverityTarget",
]
