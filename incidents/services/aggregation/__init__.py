"""Replaces the incident aggregator: one door that folds every report into an incident.

``absorb`` takes a batch; ``stale`` resolves what went quiet; ``statistics`` says how much.
"""

from incidents.services.aggregation.absorbing import Absorbed, absorb

__all__ = ["Absorbed", "absorb"]
