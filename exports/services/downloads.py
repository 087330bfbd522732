"""The files of a stored bundle: the same bytes every time, from the bytes that were signed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from config.actors import Actor
from config.operations import audit
from exports.models import Bundle
from exports.services import bagit, files, sealing
from exports.services.bagit import Payload
from exports.services.sealing import Seal, SealedBundle

Form = Literal["json", "pdf", "zip"]

MEDIA_TYPES: dict[Form, str] = {
    "json": "application/json",
    "pdf": "application/pdf",
    "zip": "application/zip",
}


@dataclass(frozen=True, slots=True)
class Download:
    """A file to hand over, under a name that says what it is."""

    name: str
    media_type: str
    content: bytes


def download(*, bundle: Bundle, form: Form) -> Download:
    """One of the three forms of ``bundle``."""
    content = {"json": _json, "pdf": _pdf, "zip": _zip}[form](bundle)
    name = f"firebreak-{bundle.bundle_type.replace('_', '-')}-{bundle.pk}.{form}"
    return Download(name, MEDIA_TYPES[form], content)


def hand_over(*, bundle: Bundle, form: Form, by: Actor) -> Download:
    """As :func:`download`, to somebody: the audit log says to whom."""
    file = download(bundle=bundle, form=form)
    audit.record(
        "bundle downloaded",
        by=by,
        tenant_id=bundle.tenant_id,
        target=f"bundle {bundle.pk}",
        data={"form": form, "sha256": bundle.sha256},
    )
    return file


def _json(bundle: Bundle) -> bytes:
    seal = Seal(bundle.sha256, bytes(bundle.signature), bundle.key_id)
    return sealing.json_document(SealedBundle(_read(bundle, "document"), seal))


def _pdf(bundle: Bundle) -> bytes:
    return _read(bundle, "pdf")


def _zip(bundle: Bundle) -> bytes:
    payload = Payload(
        document=_read(bundle, "document"),
        pdf=_read(bundle, "pdf"),
        signature=bytes(bundle.signature),
        public_pem=bundle.key.public_pem.encode(),
    )
    return bagit.build(payload, manifest_signature=bytes(bundle.manifest_signature))


def _read(bundle: Bundle, file: files.File) -> bytes:
    return files.read(file, tenant_id=bundle.tenant_id, bundle_id=bundle.pk)
