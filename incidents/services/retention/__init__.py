"""Deleting what a tenant no longer wants to be kept: old alerts, and incidents closed long ago.

New beside the original drivers. Housekeeping does it, in transactions of a fraction of a second
that hold nothing that a report waits for; each writes what it deletes into the audit log. The
counters of an incident stay what they were when its alerts go, and the sums that insights are read
from are always those of the incidents that are left.
"""

from incidents.services.retention.alerts import retire_alerts
from incidents.services.retention.closed import before_retiring, retire_incidents

__all__ = ["before_retiring", "retire_alerts", "retire_incidents"]
