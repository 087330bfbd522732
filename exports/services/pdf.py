"""Rendering a bundle as a PDF with the sealed JSON attached.

The same bundle gives the same bytes: no clock, no system font and no network takes part. Data
reaches the templates as JSON and is only ever placed as text, so markup in it never runs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from exports.enums import BundleType, Conformance
from exports.errors import NotRendered
from exports.services import press
from exports.services.documents import Bundle
from exports.services.presentation import text, views
from exports.services.sealing import SealedBundle

FALLBACK_NOTICE = (
    "This is a plain PDF 1.7, not the archival PDF/A-3b: some text could not be set with the "
    "fonts of this document. The exact text is in the attached JSON."
)


@dataclass(frozen=True, slots=True)
class RenderedPdf:
    """A PDF, what it conforms to, and the notice on its first page when that is not PDF/A-3b."""

    content: bytes
    conformance: Conformance
    notice: str | None


def render(bundle: Bundle, *, sealed: SealedBundle) -> RenderedPdf:
    """The PDF of a bundle. Raises NotRendered when it cannot be set even as a plain PDF."""
    view = views.view(bundle, sha256=sealed.seal.sha256)
    kind = BundleType(bundle["bundle_type"])
    at = datetime.fromisoformat(bundle["generated_at"]).astimezone(UTC).replace(microsecond=0)
    try:
        try:
            content = _set(kind, view, sealed.document, at=at, standard="a-3b")
            return RenderedPdf(content, Conformance.PDF_A_3B, None)
        except press.Refused as refusal:
            if not str(refusal).startswith("PDF/A"):
                raise
        view["notices"].insert(0, FALLBACK_NOTICE)
        content = _set(kind, view, sealed.document, at=at, standard="1.7")
    except press.Failed as failure:
        raise NotRendered(f"The PDF could not be set: {failure}.") from failure
    return RenderedPdf(content, Conformance.PDF_1_7, FALLBACK_NOTICE)


def _set(
    kind: BundleType, view: dict[str, object], document: bytes, *, at: datetime, standard: str
) -> bytes:
    shown = json.dumps(view, ensure_ascii=False)
    return press.compile_pdf(
        f"{kind}.typ",
        inputs={"view": shown, "intricate": "yes" if text.is_intricate(shown) else "no"},
        document=document,
        standard=standard,
        at=at.isoformat(),
    )
