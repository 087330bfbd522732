"""Replaces the metrics of the incidents facade: how soon, how many, how bad, at what cost.

``of_window`` goes through the modules in this order: ``sums`` (counts, means, histograms),
``spread`` (in which narrow range a figure lies), ``exact`` (the times of that range), ``window``
(putting it together). ``distribution`` and ``costs`` stand by themselves.
"""

from incidents.services.metrics.costs import CategoryCost, CostImpact, cost_impact
from incidents.services.metrics.distribution import Distribution, distribution
from incidents.services.metrics.units import mean_cents, milliseconds
from incidents.services.metrics.window import (
    Metrics,
    Oldest,
    ServiceLevel,
    ServiceLevels,
    Times,
    of_window,
)

__all__ = [
    "CategoryCost",
    "CostImpact",
    "Distribution",
    "Metrics",
    "Oldest",
    "ServiceLevel",
    "ServiceLevels",
    "Times",
    "cost_impact",
    "distribution",
    "mean_cents",
    "milliseconds",
    "of_window",
]
