"""What sealing, checking and setting bundles costs. Run by hand:

    python tests/benchmarks/bench_exports.py

The time to seal is told as a ratio to json.dumps and SHA-256 of the same data, measured in turns.
The time to set a PDF is told twice: as it passed, and as the processor spent on it, which other
work on the machine changes less.
"""

# ruff: noqa: E402
from __future__ import annotations

import hashlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
# No database takes part; without this the settings would start the embedded one.
os.environ["DATABASE_URL"] = "postgres://nobody@127.0.0.1:1/none"

import django

django.setup()

import rfc8785
from rich.console import Console
from rich.table import Table

from exports.services import bagit, pdf, sealing, verification
from exports.services.bagit import Payload
from tests.factories import bundles
from tests.factories.keys import key_pair

ROUNDS = 15
KEY = key_pair(7)


def medians(*works: Callable[[], object]) -> list[float]:
    """Median milliseconds of each, measured in turns so that noise falls on all alike."""
    taken: list[list[float]] = [[] for _ in works]
    for work in works:
        work()
    for _ in range(ROUNDS):
        for times, work in zip(taken, works, strict=True):
            started = time.perf_counter()
            work()
            times.append((time.perf_counter() - started) * 1_000)
    return [statistics.median(times) for times in taken]


def processor_time(work: Callable[[], object]) -> float:
    """Milliseconds that this process and those that it waited for spent on it."""
    started = sum(os.times()[:4])
    work()
    return (sum(os.times()[:4]) - started) * 1_000


def sealing_table() -> Table:
    table = Table(title="Sealing")
    for column in ("bundle", "KB", "dumps + SHA-256, ms", "seal, ms", "ratio", "rfc8785, ratio"):
        table.add_column(column, justify="right")
    for steps, content in ((7, False), (1_000, False), (1_000, True), (5_000, True)):
        bundle = bundles.evidence(steps=steps, content=content)
        plain, sealed, reference = medians(
            lambda bundle=bundle: hashlib.sha256(json.dumps(bundle).encode()).hexdigest(),
            lambda bundle=bundle: sealing.seal(bundle, key=KEY),
            lambda bundle=bundle: rfc8785.dumps(bundle),
        )
        size = len(sealing.seal(bundle, key=KEY).document)
        name = f"{steps:,} steps" + (", content" if content else "")
        table.add_row(
            name,
            f"{size / 1_000:,.0f}",
            f"{plain:.2f}",
            f"{sealed:.2f}",
            f"{sealed / plain:.2f}",
            f"{reference / plain:.1f}",
        )
    return table


def rendering_table() -> Table:
    table = Table(title="Rendering and checking")
    for column in ("bundle", "PDF, ms", "CPU ms", "KB", "verify JSON, ms", "verify ZIP, ms"):
        table.add_column(column, justify="right")
    cases: dict[str, Any] = {name: make() for name, make in bundles.KINDS.items()}
    cases["evidence, 1,000 steps"] = bundles.evidence(steps=1_000, content=True)
    trusted = {KEY.key_id: KEY.public_pem}
    for name, bundle in cases.items():
        sealed = sealing.seal(bundle, key=KEY)
        made = pdf.render(bundle, sealed=sealed)
        payload = Payload(
            sealed.document, made.content, sealed.seal.signature, KEY.public_pem.encode()
        )
        as_json = sealing.json_document(sealed)
        as_zip = bagit.build(payload, manifest_signature=bagit.sign_manifest(payload, key=KEY))
        number = iter(range(10**6))

        def render_another(bundle: Any = bundle, number: Any = number) -> None:
            # A title of its own, so that nothing set before can be used again.
            other = bundle | {"incident": bundle["incident"] | {"title": f"No. {next(number)}"}}
            pdf.render(other, sealed=sealing.seal(other, key=KEY))

        spent = statistics.median(processor_time(render_another) for _ in range(ROUNDS))
        rendering, json_check, zip_check = medians(
            render_another,
            lambda data=as_json: verification.verify(data, public_keys=trusted),
            lambda data=as_zip: verification.verify(data, public_keys=trusted),
        )
        table.add_row(
            name,
            f"{rendering:.0f}",
            f"{spent:.0f}",
            f"{len(made.content) / 1_000:.0f}",
            f"{json_check:.2f}",
            f"{zip_check:.2f}",
        )
    return table


if __name__ == "__main__":
    console = Console()
    console.print(sealing_table())
    console.print(rendering_table())
