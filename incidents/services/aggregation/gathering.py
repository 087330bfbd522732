"""Group commit: single reports that arrive while another is being committed go in together.

One incident's row can be written by one transaction at a time, and each ends with a flush to
disk. Threads of a process that report to one tenant at once therefore wait for each other here
instead of there: the first to come leads, and takes along, as one batch, all that came while the
batch before was on its way. It waits a moment for those whose requests are being read; a lone
report waits for nobody. A batch is folded in as if its reports had come one by one, so nothing
else changes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from django.db import connection

from config.tenancy.models import AggregationConfig, Tenant
from incidents.enums import Outcome
from incidents.models import Incident
from incidents.services.aggregation.absorbing import Absorbed, absorb
from incidents.services.reports import AnyReport

_MAX_TOGETHER: Final = 500
# What a report is worth waiting for, in seconds: about a transaction.
_PATIENCE: Final = 0.003


@dataclass(slots=True)
class Placed:
    """What became of one report: the incident is None when a rule prevented it."""

    outcome: Outcome
    incident: Incident | None


@dataclass(slots=True, eq=False)
class _Waiting:
    """A report and its answer to come; woken without one, its thread leads or goes alone."""

    report: AnyReport
    woken: threading.Event = field(default_factory=threading.Event)
    placed: Placed | None = None
    alone: bool = False


# What must be the same for reports to go together: the tenant's facts may have changed between.
_Key = tuple[str, str, AggregationConfig]

_guard = threading.Lock()
# Present while somebody leads; the reports that wait behind.
_groups: dict[_Key, list[_Waiting]] = {}


class _OnTheirWay:
    """The threads of this process that will soon come to :func:`absorb_one`, or turn back."""

    def __init__(self) -> None:
        self._threads: set[int] = set()
        self._changed = threading.Condition()

    def add(self) -> None:
        with self._changed:
            self._threads.add(threading.get_ident())

    def remove(self) -> None:
        """This thread has come, or will not; no matter how often it says so."""
        with self._changed:
            self._threads.discard(threading.get_ident())
            if not self._threads:
                self._changed.notify_all()

    def wait(self) -> None:
        """Until all have come, but no longer than they are worth."""
        with self._changed:
            self._changed.wait_for(lambda: not self._threads, timeout=_PATIENCE)


_on_their_way = _OnTheirWay()


@contextmanager
def on_the_way() -> Iterator[None]:
    """Says, from the first moment of a request, that this thread may come to absorb a report."""
    _on_their_way.add()
    try:
        yield
    finally:
        _on_their_way.remove()


def absorb_one(*, tenant: Tenant, report: AnyReport, via: str = "aggregation") -> Placed:
    """Folds one report in, as :func:`absorb`; committed when this returns.

    Inside the caller's transaction it goes alone, because it is the caller's to commit.
    """
    if connection.in_atomic_block:
        return _placed(absorb(tenant=tenant, alerts=[report], via=via), 0)
    mine = _Waiting(report)
    key = (tenant.pk, via, tenant.aggregation)
    with _guard:
        behind = _groups.get(key)
        if behind is None:
            _groups[key] = []
        else:
            behind.append(mine)
    _on_their_way.remove()
    if behind is not None:
        mine.woken.wait()
        if mine.placed is not None:
            return mine.placed
        if mine.alone:
            return _placed(absorb(tenant=tenant, alerts=[report], via=via), 0)
    return _lead(key, mine, tenant=tenant, via=via)


def _lead(key: _Key, mine: _Waiting, *, tenant: Tenant, via: str) -> Placed:
    """Folds in what waits, this thread's report first, and then lets the next one lead."""
    _on_their_way.wait()
    with _guard:
        behind = [one for one in _groups[key] if one is not mine]
        others, _groups[key] = behind[: _MAX_TOGETHER - 1], behind[_MAX_TOGETHER - 1 :]
    together = [mine, *others]
    try:
        absorbed = absorb(tenant=tenant, alerts=[one.report for one in together], via=via)
        for place, one in enumerate(together):
            one.placed = _placed(absorbed, place)
    except Exception:
        # One report's failure is not another's: now each goes by itself, and has its own.
        if not others:
            raise
    finally:
        for other in others:
            other.alone = other.placed is None
            other.woken.set()
        with _guard:
            if waiting := _groups[key]:
                waiting[0].woken.set()
            else:
                del _groups[key]
    return mine.placed or _placed(absorb(tenant=tenant, alerts=[mine.report], via=via), 0)


def _placed(absorbed: Absorbed, place: int) -> Placed:
    id_: UUID | None = absorbed.incident_ids[place]
    incident = None if id_ is None else absorbed.incidents[id_]
    return Placed(Outcome(absorbed.outcomes[place]), incident)
