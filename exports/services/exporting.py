"""Replaces the export driver: from an incident to a signed bundle that is kept."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from typing import Any, Final, cast

from django.conf import settings
from django.db import transaction

from config import clock
from config.actors import Actor
from config.api.values import format_timestamp
from config.errors import Invalid
from config.operations import audit
from config.tenancy.models import Tenant
from exports.enums import BundleType
from exports.models import Bundle
from exports.services import assembly, attestation, controls, debrief, issuing, keys
from exports.services.documents import FORMAT
from exports.services.documents import Bundle as Document
from incidents.models import Incident

NAME: Final = "Firebreak"


@dataclass(frozen=True, slots=True)
class Exported:
    """A bundle as it was kept; ``notice`` tells a person that a signing key was just made."""

    bundle: Bundle
    notice: str | None


def export(
    *,
    incident: Incident,
    bundle_type: BundleType,
    by: Actor,
    reason: str | None = None,
    include_raw_steps: bool = False,
    prepared_for: str | None = None,
    period_start: datetime | None = None,
    period_end: datetime | None = None,
    auditor_notes: str | None = None,
) -> Exported:
    """Read the facts of ``incident`` as they stand, seal them, set their PDF and keep all of it.

    One transaction, with an entry in the audit log. Raises IncidentNotFound, Invalid (half a
    period, or one that ends before it begins), BundleTooLarge, NotCanonical, NotRendered and
    SigningKeyUnavailable; then nothing is kept.
    """
    period = _period(period_start, period_end)
    with transaction.atomic():
        key = keys.current()
        tenant = Tenant.objects.get(pk=incident.tenant_id)
        gathered = assembly.gather(incident, raw_steps=include_raw_steps, period=period)
        document = cast(
            Document,
            {
                "format": FORMAT,
                "bundle_type": str(bundle_type),
                "id": str(clock.uuid7()),
                "generated_at": format_timestamp(gathered.at),
                "generator": {"name": NAME, "version": version()},
                "tenant": {"id": tenant.pk, "name": tenant.name},
                "requested_by": str(by),
                "reason": reason or None,
                "prepared_for": prepared_for or None,
                "period": period
                and {"start": format_timestamp(period[0]), "end": format_timestamp(period[1])},
                "auditor_notes": auditor_notes or None,
                **gathered.sections,
                "attestation": attestation.compose(
                    signer=f"{NAME}, for tenant {tenant.pk}", key=key, checks=gathered.checks
                ),
            },
        )
        bundle = issuing.issue(
            tenant=tenant, document=_complete(document, bundle_type), key=key, at=gathered.at
        )
        audit.record(
            "bundle exported",
            by=by,
            tenant_id=tenant.pk,
            target=f"bundle {bundle.pk}",
            data={
                "incident_id": str(incident.pk),
                "bundle_type": str(bundle_type),
                "sha256": bundle.sha256,
                "key_id": key.key_id,
                "raw_steps": include_raw_steps,
                "reason": reason or "",
            },
        )
    return Exported(bundle, key.notice)


def _complete(document: Document, bundle_type: BundleType) -> Document:
    """The document with what its type holds beyond the facts."""
    more: Any = {}
    if bundle_type == BundleType.SOC2:
        more = {"controls": controls.assess(document)}
    elif bundle_type == BundleType.EXECUTIVE_DEBRIEF:
        more = debrief.compose(document)
    return cast(Document, {**document, **more})


def _period(start: datetime | None, end: datetime | None) -> tuple[datetime, datetime] | None:
    if start is None and end is None:
        return None
    if start is None or end is None:
        missing = "start" if start is None else "end"
        raise Invalid.field(f"/compliance_period_{missing}", "is required with the other one")
    if end <= start:
        raise Invalid.field("/compliance_period_end", "must be after compliance_period_start")
    return start, end


@functools.cache
def version() -> str:
    """The version of Firebreak, as it was installed or as its checkout says."""
    try:
        return metadata.version("firebreak")
    except metadata.PackageNotFoundError:
        with (settings.BASE_DIR / "pyproject.toml").open("rb") as file:
            return str(tomllib.load(file)["project"]["version"])
