"""Sealing a bundle, rendering it and keeping it: who exported what, when and why."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from config.tenancy.models import Tenant
from exports.models import Bundle
from exports.services import bagit, files, pdf, sealing
from exports.services.bagit import Payload
from exports.services.documents import Bundle as Document
from exports.services.keys import KeyPair


def issue(*, tenant: Tenant, document: Document, key: KeyPair, at: datetime) -> Bundle:
    """Seal ``document`` with ``key``, set its PDF and keep both, append-only.

    The document already names ``key`` in its attestation, the tenant, and ``at`` as the moment
    it was generated. Raises NotCanonical, BundleTooLarge and NotRendered.
    """
    if document["attestation"]["key_id"] != key.key_id or document["tenant"]["id"] != tenant.pk:
        raise ValueError("the document names another key or another tenant")
    sealed = sealing.seal(document, key=key)
    rendered = pdf.render(document, sealed=sealed)
    payload = Payload(
        document=sealed.document,
        pdf=rendered.content,
        signature=sealed.seal.signature,
        public_pem=key.public_pem.encode(),
    )
    bundle = Bundle(
        id=UUID(document["id"]),
        tenant=tenant,
        incident_id=UUID(document["incident"]["id"]),
        bundle_type=document["bundle_type"],
        created_at=at,
        created_by=document["requested_by"],
        reason=document["reason"] or "",
        sha256=sealed.seal.sha256,
        signature=sealed.seal.signature,
        manifest_signature=bagit.sign_manifest(payload, key=key),
        key_id=key.key_id,
        document=sealed.document,
        pdf=rendered.content,
        conformance=rendered.conformance,
        notice=rendered.notice or "",
    )
    files.keep(bundle)
    kept: Bundle = Bundle.objects.without_files().get(pk=bundle.pk)
    return kept
