"""The tables of incidents: reports, what they were folded into, and the facts behind them."""

from incidents.models.alert import Alert, OutcomeTally
from incidents.models.cost import CostAnomaly, CostRecord
from incidents.models.evidence import Evidence
from incidents.models.failure import Failure
from incidents.models.incident import Event, Incident, IncidentAgent, IncidentRun
from incidents.models.retention import RetentionMark
from incidents.models.rollup import RollupCategory, RollupChange, RollupDay, RollupHour
from incidents.models.rule import PolicyRule, Prevention, RuleRevision, RuleSet
from incidents.models.run import Run, Step, Trace
from incidents.models.sender import EndedAlert, SenderSettings, SpanStep
from incidents.models.target import SeverityTarget
from incidents.models.violation import PolicyEvaluation, Violation
from incidents.models.webhook import WebhookAttempt, WebhookDelivery, WebhookEndpoint

__all__ = [
    "Alert",
    "CostAnomaly",
    "CostRecord",
    "EndedAlert",
    "Event",
    "Evidence",
    "Failure",
    "Incident",
    "IncidentAgent",
    "IncidentRun",
    "OutcomeTally",
    "PolicyEvaluation",
    "PolicyRule",
    "Prevention",
    "RetentionMark",
    "RollupCategory",
    "RollupChange",
    "RollupDay",
    "RollupHour",
    "RuleRevision",
    "RuleSet",
    "Run",
    "SenderSettings",
    "SeverityTarget",
    "SpanStep",
    "Step",
    "Trace",
    "Violation",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
]
