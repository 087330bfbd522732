"""Bundles of what nobody writes by hand: a bundle or a clear refusal, never a broken file."""

from __future__ import annotations

import json
from typing import Any

import pytest

from config.tenancy.models import Tenant
from exports.enums import BundleType, Conformance
from exports.errors import BundleTooLarge
from exports.models import Bundle
from exports.services import canonical, downloads, exporting, keys, verification
from incidents.models import Incident
from incidents.services import lifecycle
from tests.factories import exporting as scenarios
from tests.factories.exporting import ADA

pytestmark = pytest.mark.django_db

# Letters of all seventeen planes, what turns the direction, what joins, what is nobody's.
PLANES = "".join(chr(plane * 0x10000 + 0x8081) for plane in range(17))
ODD = "\u0001\u001b\u007f\u0085\u200b\u200d\u202e\u2028\u2066\ufeff\ufffe\uffff\U0010ffff e\u0301"
RIGHT_TO_LEFT = "שלום العربية 123 abc"
MARKUP = (
    "#panic(1) $x^2$ *b* _i_ = h\n- l `c` <l> @r \\u{41} </script><script>alert(1)</script> %PDF"
)
TEXTS = [PLANES, ODD, RIGHT_TO_LEFT, MARKUP, "👩‍👩‍👧‍👦 🏳️‍🌈", " " * 2000, "W" * 2000, "\n" * 500]


def exported(incident: Incident, kind: BundleType, **options: Any) -> Bundle:
    """A bundle whose three files are whole."""
    made = exporting.export(incident=incident, bundle_type=kind, by=ADA, **options).bundle
    for form in ("json", "zip"):
        file = downloads.download(bundle=made, form=form).content  # type: ignore[arg-type]
        found = verification.verify(file, public_keys=keys.installed())
        assert found.ok, found.failure
    assert bytes(made.pdf).startswith(b"%PDF-")
    assert bytes(made.pdf).rstrip().endswith(b"%%EOF")
    return made


@pytest.mark.parametrize("kind", BundleType)
def test_export_keeps_any_text_as_it_is(tenant: Tenant, kind: BundleType) -> None:
    incident = scenarios.opened(tenant)
    scenarios.trace(incident, contents=TEXTS)
    for text in TEXTS:
        lifecycle.comment(incident=incident, by=ADA, description=text)
        scenarios.evidence(incident, {text: [text]})
    scenarios.lesson(incident, title=ODD, proposed_action=MARKUP)
    scenarios.resolved(incident, summary=PLANES + MARKUP)
    Incident.objects.filter(pk=incident.pk).update(
        title=MARKUP + RIGHT_TO_LEFT, description=ODD, error_message=PLANES, trigger_value=ODD
    )
    made = exported(incident, kind, include_raw_steps=True, reason=ODD, prepared_for=MARKUP)
    document = json.loads(bytes(made.document))
    told = [entry["description"] for entry in document["timeline"]]
    assert [text for text in told if text in TEXTS] == TEXTS
    steps = document["runs"][0]["trace"]["steps"]
    assert [step["content"] for step in steps] == TEXTS
    assert [json.loads(row["data"]) for row in document["evidence"]] == [{t: [t]} for t in TEXTS]
    assert document["incident"]["description"] == ODD
    assert all(check["passed"] for check in document["attestation"]["checks"])


def test_export_bears_a_run_of_5000_steps(tenant: Tenant) -> None:
    incident = scenarios.opened(tenant)
    scenarios.trace(incident, contents=[f"step {number}" for number in range(5_000)])
    made = exported(incident, BundleType.SOC2, include_raw_steps=True)
    assert made.conformance == Conformance.PDF_A_3B
    document = json.loads(bytes(made.document))
    assert len(document["runs"][0]["trace"]["steps"]) == document["totals"]["steps"] == 5_000
    assert len(bytes(made.pdf)) < 5_000_000


def test_export_bears_ten_megabytes_of_steps(tenant: Tenant) -> None:
    incident = scenarios.opened(tenant)
    scenarios.trace(incident, contents=["ä" * (512 * 1024)] * 10)
    small = exported(incident, BundleType.EVIDENCE)
    assert len(bytes(small.document)) < 50_000
    large = exported(incident, BundleType.EVIDENCE, include_raw_steps=True)
    assert len(bytes(large.document)) > 10 * 1024 * 1024


def test_export_refuses_what_is_too_large_and_keeps_nothing(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canonical, "MAX_BYTES", 1024 * 1024)
    incident = scenarios.opened(tenant)
    scenarios.trace(incident, contents=["x" * (1024 * 1024)])
    with pytest.raises(BundleTooLarge, match="Export it without the raw steps"):
        exported(incident, BundleType.EVIDENCE, include_raw_steps=True)
    assert not Bundle.objects.exists()
    exported(incident, BundleType.EVIDENCE)


def test_export_bears_a_thousand_runs(tenant: Tenant) -> None:
    runs = [f"run-{number:04}" for number in range(1_000)]
    incident = scenarios.opened(tenant, calls=1_000, runs=runs)
    document = json.loads(bytes(exported(incident, BundleType.EVIDENCE).document))
    assert sorted(run["run_id"] for run in document["runs"]) == runs
    assert {"subject": "runs", "detail": "950 further runs have no trace."} in document["gaps"]
