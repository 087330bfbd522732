"""Replaces the reading half of the export driver: the facts of an incident, read as one.

:func:`gather` reads everything while the incident's row is locked, so that alerts, counters,
state and timeline agree, and lets go of it before anything is sealed or set.
"""

from exports.services.assembly.gathering import Gathered, gather

__all__ = ["Gathered", "gather"]
