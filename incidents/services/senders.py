"""What other systems report, and what a tenant wants of them: new beside the original drivers.

Alertmanager, CloudEvents and Sentry; traces are ``incidents.services.tracing``'s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from config import clock
from config.actors import Actor
from config.database import arrays
from config.database.statements import run
from config.errors import Invalid
from config.operations import audit
from config.tenancy import scope
from config.tenancy.errors import KeyRefused
from config.tenancy.models import ApiKey, Tenant
from incidents.enums import ResolutionMethod, Status
from incidents.models import SenderSettings
from incidents.senders import alertmanager, sentry
from incidents.senders.redaction import DEFAULT_PATTERNS, Redactor, pattern_errors
from incidents.services import aggregation, lifecycle
from incidents.services.aggregation import Absorbed
from incidents.services.reports import Report

_PREFIX: Final = re.compile(r"[a-z0-9]{1,12}")
CHANGEABLE: Final = frozenset(
    {"keep_prompts", "redaction_patterns", "resolve_on_resolved", "sentry_secret"}
)
# So that a signature without a tenant to check it for takes as long to refuse.
_NO_SECRET: Final = "none"  # noqa: S105


def settings_of(*, tenant: Tenant) -> SenderSettings:
    """What the tenant wants; the defaults, not stored, while it has said nothing."""
    found: SenderSettings | None = SenderSettings.objects.for_tenant(tenant).first()
    return found or SenderSettings(tenant=tenant)


def change_settings(*, by: Actor, tenant: Tenant, changes: Mapping[str, Any]) -> SenderSettings:
    """Changes some of a tenant's settings; Invalid, by its place, for a pattern that is none."""
    values = {name: value for name, value in changes.items() if name in CHANGEABLE}
    patterns = values.get("redaction_patterns")
    if patterns and (errors := pattern_errors(patterns, pointer="/redaction_patterns")):
        raise Invalid(errors)
    with transaction.atomic():
        settings, _ = SenderSettings.objects.update_or_create(
            tenant=tenant, defaults={**values, "updated_at": clock.now()}
        )
        # The names alone: one of the values is a secret.
        audit.record(
            "sender settings changed",
            by=by,
            tenant_id=tenant.pk,
            target=f"tenant {tenant.pk}",
            data={"changed": sorted(values)},
        )
    return settings


def redactor(settings: SenderSettings) -> Redactor:
    """What takes out of texts that are kept what the tenant does not want in them."""
    patterns = settings.redaction_patterns
    return Redactor(DEFAULT_PATTERNS if patterns is None else patterns)


def key_of_hook(*, prefix: str, body: bytes, presented: str) -> ApiKey:
    """The key with this prefix, if its tenant's Sentry signed the body; else KeyRefused.

    An unknown prefix, a key that is not usable, a tenant without a secret and a wrong signature
    are one refusal, and take the same work.
    """
    key: ApiKey | None = None
    if _PREFIX.fullmatch(prefix):
        key = ApiKey.objects.select_related("tenant").filter(prefix=prefix).first()
    secret = settings_of(tenant=key.tenant).sentry_secret if key else ""
    matches = sentry.is_signed(secret=secret or _NO_SECRET, body=body, presented=presented)
    if key is None or not secret or not matches or not key.is_usable(at=clock.now()):
        raise KeyRefused
    return key


def report(*, tenant: Tenant, by: Actor, reports: Sequence[Report], rejected: int = 0) -> Absorbed:
    """Takes reports that were read from another system's through the one door."""
    return aggregation.absorb(tenant=tenant, alerts=reports, rejected=rejected, via=by.via)


@dataclass(slots=True)
class Notified:
    """What became of a notification: of the alerts that fire, and the incidents it resolved."""

    absorbed: Absorbed
    resolved: list[UUID] = field(default_factory=list)


def notify(*, tenant: Tenant, by: Actor, notification: alertmanager.Notification) -> Notified:
    """Takes a notification: alerts that fire are reported, those that ended are noted.

    When the tenant wants that, an incident is resolved once all its alerts have ended. The two
    halves are transactions of their own, each of which may be repeated: what ends locks
    incidents, and must not hold those that fire.
    """
    notified = Notified(
        report(
            tenant=tenant,
            by=by,
            reports=notification.firing,
            rejected=len(notification.refusals),
        )
    )
    if not settings_of(tenant=tenant).resolve_on_resolved:
        return notified
    keys = [_key(tenant.pk, call_id) for call_id in dict.fromkeys(notification.resolved)]
    fired = [id_ for id_ in notified.absorbed.incident_ids if id_ is not None]
    if keys or fired:
        with scope.tenant(tenant.pk, plan_once=True):
            notified.resolved = _resolve_ended(tenant.pk, by, keys, fired)
    return notified


_NOTE_ENDED: Final = """
INSERT INTO incidents_endedalert (tenant_id, key, created_at)
SELECT %s, u.key, %s FROM unnest(%s::uuid[]) AS u(key)
ON CONFLICT (tenant_id, key) DO NOTHING
"""
_HOLD: Final = f"""
SELECT i.id FROM incidents_incident i
WHERE i.tenant_id = %s AND i.status <> '{Status.RESOLVED}' AND (
    i.id = ANY(%s::uuid[]) OR i.id IN (
        SELECT a.incident_id FROM incidents_alert a
        WHERE a.tenant_id = %s AND a.key = ANY(%s::uuid[])
    )
)
ORDER BY i.id FOR NO KEY UPDATE
"""  # noqa: S608 - only our own constants are interpolated
_ALL_ENDED: Final = """
SELECT i.id FROM unnest(%s::uuid[]) AS i(id)
WHERE NOT EXISTS (
    SELECT FROM incidents_alert a WHERE a.incident_id = i.id AND NOT EXISTS (
        SELECT FROM incidents_endedalert e WHERE e.tenant_id = a.tenant_id AND e.key = a.key
    )
)
"""


def _resolve_ended(
    tenant_id: str, by: Actor, keys: Sequence[bytes], fired: Sequence[UUID]
) -> list[UUID]:
    """Notes the ends of alerts and resolves the incidents of which that was the last.

    Also of those that just fired: an end may come before its beginning.
    """
    run(_NOTE_ENDED, [tenant_id, clock.now(), arrays.uuids(sorted(keys))])
    held = run(_HOLD, [tenant_id, [str(id_) for id_ in fired], tenant_id, arrays.uuids(list(keys))])
    if not held:
        return []
    # Asked for once the incidents are locked: whoever noted another end of theirs is seen.
    ended = [id_ for (id_,) in run(_ALL_ENDED, [[str(id_) for (id_,) in held]])]
    if not ended:
        return []
    with transaction.atomic():
        results = lifecycle.resolve_all(
            tenant=tenant_id,
            ids=sorted(ended),
            by=by,
            method=ResolutionMethod.AUTO,
            summary="Alertmanager: every alert has ended.",
        )
    return [result.id for result in results if result.error is None]


def _key(tenant_id: str, call_id: str) -> bytes:
    return aggregation.alert_key(
        tenant_id=tenant_id, trigger_type=alertmanager.TRIGGER, call_id=call_id
    )
