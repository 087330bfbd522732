"""The ZIP download: a BagIt 1.0 bag (RFC 8493) that is the same bytes every time it is made.

Members are stored without compression, so that no version of a compressor changes them, in one
order, at one time (the bundle's own), with manifests that ``sha256sum -c`` reads. The signature
in data/bundle.sig covers data/bundle.json; the one in bag-info.txt covers the payload manifest,
and with it the PDF.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from exports.services.keys import KeyPair

DOCUMENT = "data/bundle.json"
PDF = "data/bundle.pdf"
PUBLIC_KEY = "data/public.pem"
SIGNATURE = "data/bundle.sig"
PAYLOAD = (DOCUMENT, PDF, SIGNATURE, PUBLIC_KEY)

DECLARATION = "bagit.txt"
INFO = "bag-info.txt"
MANIFEST = "manifest-sha256.txt"
TAG_MANIFEST = "tagmanifest-sha256.txt"
TAGS = (DECLARATION, INFO, MANIFEST)
MEMBERS = (DECLARATION, INFO, *PAYLOAD, MANIFEST, TAG_MANIFEST)

MANIFEST_SIGNATURE = "Firebreak-Manifest-Signature"
_DECLARED = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
_EARLIEST, _LATEST = datetime(1980, 1, 1, tzinfo=UTC), datetime(2107, 12, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Payload:
    """The files that a bag carries, as raw bytes."""

    document: bytes
    pdf: bytes
    signature: bytes
    public_pem: bytes

    def members(self) -> dict[str, bytes]:
        return {
            DOCUMENT: self.document,
            PDF: self.pdf,
            SIGNATURE: self.signature,
            PUBLIC_KEY: self.public_pem,
        }


def manifest(payload: Payload) -> bytes:
    """The content of manifest-sha256.txt."""
    return _checksums(payload.members())


def sign_manifest(payload: Payload, *, key: KeyPair) -> bytes:
    """The raw signature over the payload manifest, to be kept and given to ``build``."""
    return key.sign(manifest(payload))


def build(payload: Payload, *, manifest_signature: bytes) -> bytes:
    """The ZIP, whose names, dates and descriptions come from the bundle in the payload.

    The document has been made by ``sealing.seal`` from a whole bundle.
    """
    bundle = json.loads(payload.document)
    content = tags(payload, bundle=bundle, manifest_signature=manifest_signature)
    content |= payload.members()
    return pack(content, at=created(bundle))


def tags(
    payload: Payload, *, bundle: Mapping[str, Any], manifest_signature: bytes
) -> dict[str, bytes]:
    """The four files beside the payload."""
    members = payload.members()
    octets = sum(len(content) for content in members.values())
    incident, tenant = bundle["incident"], bundle["tenant"]
    info = {
        "Bagging-Date": created(bundle).date().isoformat(),
        "External-Description": f"Firebreak {bundle['bundle_type']} bundle",
        "External-Identifier": bundle["id"],
        MANIFEST_SIGNATURE: base64.b64encode(manifest_signature).decode(),
        "Firebreak-Tenant": tenant["id"],
        "Internal-Sender-Identifier": incident["id"],
        "Payload-Oxum": f"{octets}.{len(members)}",
    }
    content = {
        DECLARATION: _DECLARED,
        INFO: "".join(f"{label}: {_line(value)}\n" for label, value in info.items()).encode(),
        MANIFEST: manifest(payload),
    }
    return content | {TAG_MANIFEST: _checksums(content)}


def pack(content: Mapping[str, bytes], *, at: datetime) -> bytes:
    """The members in their order in a ZIP that says nothing of when and where it was made."""
    moment = min(max(at, _EARLIEST), _LATEST)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in MEMBERS:
            entry = zipfile.ZipInfo(name, moment.timetuple()[:6])
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, content[name])
    return buffer.getvalue()


def _checksums(members: Mapping[str, bytes]) -> bytes:
    lines = (f"{hashlib.sha256(members[name]).hexdigest()}  {name}\n" for name in sorted(members))
    return "".join(lines).encode()


def created(bundle: Mapping[str, Any]) -> datetime:
    """When the bundle says it was made, in UTC.

    KeyError, TypeError, ValueError or OverflowError when it does not say.
    """
    moment = datetime.fromisoformat(bundle["generated_at"])
    if moment.tzinfo is None:
        raise ValueError("generated_at has no offset")
    return moment.astimezone(UTC)


def _line(value: str) -> str:
    """The value on one line: a tag file has no escapes."""
    return " ".join(value.split())
