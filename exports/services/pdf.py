"""Rendering a bundle as a PDF with the sealed JSON attached.

The same bundle gives the same bytes: no clock, no system font and no network takes part. Data
reaches the templates as JSON and is only ever placed as text, so markup in it never runs.
"""

from __future__ import annotations

import functools
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, cast

import typst
from django.conf import settings

from config.operations import memory
from exports.enums import BundleType, Conformance
from exports.errors import NotRendered
from exports.services import fonts
from exports.services.documents import Bundle
from exports.services.presentation import text, views
from exports.services.sealing import SealedBundle

_TEMPLATES: Final = settings.BASE_DIR / "templates" / "bundles"

FALLBACK_NOTICE = (
    "This is a plain PDF 1.7, not the archival PDF/A-3b: some text could not be set with the "
    "fonts of this document. The exact text is in the attached JSON."
)

# A compiler keeps what it parsed between documents, and takes one document at a time. One thread
# sets them all: each that did so would keep tens of megabytes of an allocator's arena of its own.
_press = ThreadPoolExecutor(max_workers=1, thread_name_prefix="press")
# It also remembers what it laid out, for as many documents as did not use it again.
_REMEMBERED: Final = 10


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
    document = sealed.document.decode()
    try:
        content = _set(kind, view, document, at=at, standard="a-3b")
        return RenderedPdf(content, Conformance.PDF_A_3B, None)
    except typst.TypstError as refusal:
        if not refusal.message.startswith("PDF/A"):
            raise NotRendered(f"The PDF could not be set: {refusal.message}.") from refusal
        view["notices"].insert(0, FALLBACK_NOTICE)
        try:
            content = _set(kind, view, document, at=at, standard="1.7")
        except typst.TypstError as error:
            raise NotRendered(f"The PDF could not be set: {error.message}.") from refusal
        return RenderedPdf(content, Conformance.PDF_1_7, FALLBACK_NOTICE)


def _set(
    kind: BundleType, view: dict[str, object], document: str, *, at: datetime, standard: str
) -> bytes:
    shown = json.dumps(view, ensure_ascii=False)
    intricate = "yes" if text.is_intricate(shown) else "no"

    def press() -> object:
        return _compiler().compile(
            input=_TEMPLATES / f"{kind}.typ",
            format="pdf",
            sys_inputs={"view": shown, "bundle": document, "intricate": intricate},
            pdf_standards=[standard],  # type: ignore[list-item]
            timestamp=at,
        )

    done = _press.submit(press)
    _press.submit(_forget)
    return cast(bytes, done.result())


def _forget() -> None:
    """Has the compiler let go of what it was given, and of what it laid out: 10 MB of a short
    document and more of a long one, times ten.
    """
    for _ in range(_REMEMBERED + 1):
        _compiler().compile(input=b" ", format="html", sys_inputs={})
    memory.give_back()


@functools.cache
def _compiler() -> typst.Compiler:
    return typst.Compiler(
        root=_TEMPLATES,
        font_paths=typst.Fonts(include_system_fonts=False, font_paths=[fonts.DIRECTORY]),
        ignore_system_fonts=True,
    )
