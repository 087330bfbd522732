"""Replaces the incident aggregator: one door that folds every report into an incident.

``absorb`` takes a batch (``prepare`` and ``fold`` are its halves, for who wants to overlap them;
``make_durable`` waits for the disk once for many),
``absorb_one`` a single report, together with others that come at the same time, or that said
``on_the_way`` that they would; ``resolve_stale`` ends what went quiet; ``reject`` counts what was
refused before it got here.
"""

from incidents.services.aggregation.absorbing import Absorbed, absorb, fold, make_durable, reject
from incidents.services.aggregation.batches import Batch, alert_key, prepare
from incidents.services.aggregation.gathering import Placed, absorb_one, on_the_way
from incidents.services.aggregation.staleness import resolve_stale

__all__ = [
    "Absorbed",
    "Batch",
    "Placed",
    "absorb",
    "absorb_one",
    "alert_key",
    "fold",
    "make_durable",
    "on_the_way",
    "prepare",
    "reject",
    "resolve_stale",
]
