from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exports.errors import NotRendered
from exports.services import fonts, pdf, press, sealing
from exports.services.pdf import RenderedPdf
from exports.services.presentation import text
from exports.services.sealing import SealedBundle
from tests.factories import bundles
from tests.factories.keys import key_pair
from tests.servers import ROOT, without_database

needs_pdftotext = pytest.mark.skipif(not shutil.which("pdftotext"), reason="no poppler here")


def rendered(bundle: Any) -> tuple[RenderedPdf, SealedBundle]:
    sealed = sealing.seal(bundle, key=key_pair(7))
    return pdf.render(bundle, sealed=sealed), sealed


_STREAM = re.compile(rb"<</Length (\d+)[^\n]*>>\nstream\n")


def streams(content: bytes) -> list[bytes]:
    """The streams of a PDF, inflated where they are deflated."""
    found: list[bytes] = []
    place = 0
    # By their lengths: what is deflated may end, or begin, like the words around it.
    while match := _STREAM.search(content, place):
        place = match.end() + int(match[1])
        data = content[match.end() : place]
        assert content[place : place + 11].strip().startswith(b"endstream")
        try:
            found.append(zlib.decompress(data))
        except zlib.error:
            found.append(data)
    return found


def words(content: bytes) -> str:
    """What a reader can select in the PDF, page by page with form feeds between."""
    command = ["pdftotext", "-layout", "-", "-"]
    said = subprocess.run(command, input=content, capture_output=True, check=True).stdout
    return said.decode().replace(text.BREAK, "")


@pytest.mark.parametrize("kind", bundles.KINDS)
@pytest.mark.parametrize("facts", [bundles.evidence, bundles.bare])
def test_render_makes_pdf_a_with_the_sealed_json_attached(kind: str, facts: Any) -> None:
    made, sealed = rendered(bundles.KINDS[kind](facts()))
    assert made.conformance == "PDF/A-3b"
    assert made.notice is None
    inside = streams(made.content)
    assert sealed.document in inside
    metadata = next(stream for stream in inside if b"pdfaid:part" in stream)
    assert b"<pdfaid:part>3</pdfaid:part>" in metadata
    assert b"<pdfaid:conformance>B</pdfaid:conformance>" in metadata


@pytest.mark.parametrize("kind", bundles.KINDS)
def test_render_gives_the_same_bytes_every_time(kind: str) -> None:
    first, _ = rendered(bundles.KINDS[kind]())
    again, _ = rendered(bundles.KINDS[kind]())
    assert first.content == again.content


def test_render_gives_many_threads_what_each_asked_for() -> None:
    made = [bundles.KINDS[kind]() for kind in bundles.KINDS]
    alone = [rendered(bundle)[0].content for bundle in made]
    with ThreadPoolExecutor(6) as pool:
        together = [done.content for done, _ in pool.map(rendered, made * 2)]
    assert together == alone * 2


@pytest.mark.parametrize("wrong", [press.Refused("file not found"), press.Failed("it hung")])
def test_render_says_why_there_is_no_pdf(monkeypatch: pytest.MonkeyPatch, wrong: Exception) -> None:
    def fail(*args: object, **kwargs: object) -> bytes:
        raise wrong

    monkeypatch.setattr(press, "compile_pdf", fail)
    with pytest.raises(NotRendered, match=f"The PDF could not be set: {wrong}."):
        rendered(bundles.evidence())


def test_render_keeps_nothing_of_long_documents() -> None:
    """In a process of its own, since memory that another test gave back would be used first."""
    script = """
import django
django.setup()
import psutil
from exports.services import pdf, sealing
from tests.factories import bundles
from tests.factories.keys import key_pair

for number in range(8):
    bundle = bundles.evidence(steps=2_000)
    bundle["incident"]["title"] = f"No. {number}"
    pdf.render(bundle, sealed=sealing.seal(bundle, key=key_pair(7)))
    print(psutil.Process().memory_info().rss >> 20)
"""
    said = subprocess.run(
        [sys.executable, "-c", script],
        env=without_database(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    mebibytes = [int(line) for line in said.stdout.split()]
    assert mebibytes[-1] - mebibytes[1] < 16, mebibytes


@needs_pdftotext
@pytest.mark.parametrize("kind", bundles.KINDS)
def test_render_names_bundle_and_hash_on_every_page(kind: str) -> None:
    made, sealed = rendered(bundles.KINDS[kind]())
    pages = words(made.content).rstrip("\f").split("\f")
    assert len(pages) >= 2
    for number, page in enumerate(pages, start=1):
        assert f"Page {number} of {len(pages)}" in page
        assert bundles.identifier(1) in page
        assert sealed.seal.sha256 in page
        assert "Northwind Traders (northwind)" in page


@needs_pdftotext
@pytest.mark.parametrize("severity", ["low", "medium", "high", "critical"])
def test_render_says_the_severity_in_words(severity: str) -> None:
    bundle = bundles.evidence()
    bundle["incident"]["severity"] = severity
    assert f"{severity} severity" in words(rendered(bundle)[0].content)


MARKUP = [
    '#panic("ran")',
    "#{ panic() }",
    '#read("style.typ")',
    '#include "style.typ"',
    "$ panic() $",
    "*bold* _emph_ `raw` = heading <label> @reference",
    "\\#panic() // comment /* block */ ]]]] }}}}",
    "```typ #panic() ```",
    '")#panic("',
    "%PDF-1.7 %%EOF endstream endobj",
    "<script>alert(1)</script>",
]


@pytest.mark.parametrize("kind", bundles.KINDS)
def test_render_never_runs_markup_in_the_data(kind: str) -> None:
    bundle = bundles.evidence(content=True)
    everything = " ".join(MARKUP)

    def infest(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: item if name in KEPT else infest(item) for name, item in value.items()}
        if isinstance(value, list):
            return [infest(item) for item in value]
        if isinstance(value, str) and not re.match(r"^[0-9.]+$|^\d{4}-|^[0-9a-f]{16}", value):
            return everything
        return value

    made, _ = rendered(bundles.KINDS[kind](infest(bundle)))
    assert made.conformance == "PDF/A-3b"
    if shutil.which("pdftotext"):
        said = re.sub(r"\s+", "", words(made.content))
        for markup in MARKUP:
            assert re.sub(r"\s+", "", markup) in said


KEPT = ("format", "bundle_type", "id", "severity", "status", "algorithm", "key_id", "mode")


def test_render_draws_every_character_that_it_calls_drawable() -> None:
    points = sorted(fonts.drawable())
    bundle = bundles.evidence()
    bundle["timeline"] = [
        bundles.entry(n, n, "commented", "ada", " ".join(map(chr, points[n : n + 200])))
        for n in range(0, len(points), 200)
    ]
    assert rendered(bundle)[0].conformance == "PDF/A-3b"


@pytest.mark.parametrize("kind", bundles.KINDS)
def test_render_draws_plain_characters_alike_with_and_without_rules_for_scripts(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = [chr(point) for point in sorted(fonts.drawable()) if not text.is_intricate(chr(point))]
    bundle = bundles.KINDS[kind]()
    bundle["incident"]["description"] = "".join(plain)[:850]
    bundle["timeline"] += [
        bundles.entry(n, n, "commented", "ada", "".join(plain[n : n + 400]))
        for n in range(0, len(plain), 400)
    ]
    assert len(plain) > 1_000
    without, _ = rendered(bundle)
    monkeypatch.setattr(text, "is_intricate", lambda _: True)
    assert rendered(bundle)[0].content == without.content


def test_render_shows_what_it_cannot_draw_as_code_points() -> None:
    bundle = bundles.evidence()
    bundle["incident"]["title"] = "\U0001f9ff\u202e中\x00"
    made, _ = rendered(bundle)
    assert made.conformance == "PDF/A-3b"
    if shutil.which("pdftotext"):
        said = words(made.content)
        assert "[U+1F9FF][U+202E][U+4E2D][U+0000]" in said
        assert "4 characters that the fonts of this document cannot" in said


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text goes to the page as it is, as if every character could be drawn."""
    monkeypatch.setattr(text, "clean", lambda words, longest=0: words)
    monkeypatch.setattr(text, "unknown_characters", lambda value: 0)


@pytest.mark.usefixtures("blind")
def test_render_falls_back_to_a_plain_pdf_that_says_so() -> None:
    bundle = bundles.evidence()
    bundle["incident"]["title"] = "中文"
    made, sealed = rendered(bundle)
    assert made.conformance == "PDF 1.7"
    assert made.notice == pdf.FALLBACK_NOTICE
    assert sealed.document in streams(made.content)
    assert not any(b"pdfaid" in stream for stream in streams(made.content))
    if shutil.which("pdftotext"):
        first = words(made.content).split("\f")[0]
        assert "This is a plain PDF 1.7, not the archival PDF/A-3b" in first


def test_render_refuses_what_a_template_cannot_set(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = bundles.evidence()
    sealed = sealing.seal(bundle, key=key_pair(7))
    monkeypatch.setattr(pdf.views, "view", lambda *_, **__: {})
    with pytest.raises(NotRendered, match="could not be set"):
        pdf.render(bundle, sealed=sealed)  # type: ignore[arg-type]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=400))
def test_render_bears_any_text(words: str) -> None:
    bundle = bundles.evidence(content=True)
    bundle["incident"] |= {"title": words, "group_key": words, "description": words}
    bundle["timeline"][0] |= {"actor": words, "description": words}
    bundle["runs"][0] |= {"goal": words, "agent_id": words}
    bundle["runs"][0]["trace"]["steps"][0] |= {"content": words, "status": words}
    made, sealed = rendered(bundle)
    assert sealed.document in streams(made.content)


def test_render_bears_a_long_run_and_a_large_step() -> None:
    bundle = bundles.evidence(steps=5_000, content=True)
    bundle["runs"][0]["trace"]["steps"][2]["content"] = "word " * 2_000_000
    made, sealed = rendered(bundle)
    assert made.conformance == "PDF/A-3b"
    assert len(sealed.document) > 10_000_000
    assert sealed.document in streams(made.content)
