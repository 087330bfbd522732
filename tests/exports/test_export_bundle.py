from __future__ import annotations

import io
import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import bagit
import pytest
from django.core.management import CommandError, call_command

from config import clock
from config.operations.models import AuditEvent
from config.tenancy.models import Tenant
from exports.models import Bundle, SigningKey
from exports.services import downloads
from incidents.models import Incident
from tests.factories import exporting as scenarios

pytestmark = pytest.mark.django_db


@pytest.fixture
def incident(tenant: Tenant) -> Incident:
    return scenarios.everything(tenant)


def export(incident: Any, output: Any, kind: str = "evidence", **options: Any) -> None:
    pk = incident.pk if isinstance(incident, Incident) else incident
    call_command("export_bundle", str(pk), "--type", kind, "--output", str(output), **options)


@pytest.mark.parametrize("kind", ["evidence", "soc2", "executive_debrief"])
@pytest.mark.parametrize("form", ["json", "zip"])
def test_export_bundle_writes_a_file_that_verify_bundle_accepts(
    incident: Incident,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    form: str,
) -> None:
    path = tmp_path / f"bundle.{form}"
    export(incident, path, kind, reason="Audit", actor="Ada")
    told = capsys.readouterr()
    kept = Bundle.objects.get()
    assert path.read_bytes() == downloads.download(bundle=kept, form=form).content  # type: ignore[arg-type]
    assert (kept.created_by, kept.reason) == ("Ada via export_bundle", "Audit")
    assert AuditEvent.objects.get(action="bundle exported").actor == "Ada"
    assert told.out == ""
    made, summary = told.err.splitlines()[-2:]
    assert made.startswith("A signing key was made")
    assert kept.sha256 in summary
    call_command("verify_bundle", str(path))
    assert stat.S_IMODE(path.stat().st_mode) & 0o400
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []


def test_export_bundle_takes_the_form_from_as_then_from_the_ending(
    incident: Incident, tmp_path: Path
) -> None:
    export(incident, tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF-")
    export(incident, tmp_path / "b.pdf", form="zip")
    assert (tmp_path / "b.pdf").read_bytes().startswith(b"PK")
    export(incident, tmp_path / "c")
    assert json.loads((tmp_path / "c").read_bytes())["seal"]["algorithm"] == "Ed25519"


def test_export_bundle_writes_to_standard_output(
    incident: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", out)
    export(incident, "-", form="zip")
    written = out.buffer.getvalue()  # type: ignore[attr-defined]
    assert written == downloads.download(bundle=Bundle.objects.get(), form="zip").content


def test_export_bundle_passes_on_what_it_is_told(incident: Incident, tmp_path: Path) -> None:
    path = tmp_path / "bundle.json"
    export(
        incident,
        path,
        "soc2",
        include_raw_steps=True,
        prepared_for="The auditor",
        period_start="2026-10-01T00:00:00Z",
        period_end="2027-01-01T00:00:00Z",
        auditor_notes="CC7.4?",
    )
    bundle = json.loads(path.read_bytes())["bundle"]
    assert bundle["prepared_for"] == "The auditor"
    assert bundle["period"]["start"] == "2026-10-01T00:00:00Z"
    assert bundle["auditor_notes"] == "CC7.4?"
    assert bundle["runs"][0]["trace"]["steps"][0]["content"] == scenarios.CONTENTS[0]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"incident": "12"}, "'12' is not the id of an incident."),
        ({"incident": clock.uuid7()}, "There is no incident with this id."),
        ({"period_start": "yesterday"}, "--period-start must be an RFC 3339 time"),
        ({"period_start": "2026-10-01T00:00:00Z"}, "is required with the other one"),
        ({"output": "nowhere/bundle.json"}, "nowhere/bundle.json: No such file or directory"),
        ({"output": "/"}, "/: Is a directory"),
    ],
    ids=lambda value: None,
)
def test_export_bundle_gives_one_line_of_reason(
    incident: Incident, tmp_path: Path, options: dict[str, Any], reason: str
) -> None:
    given: dict[str, Any] = {"incident": incident, "output": tmp_path / "bundle.json"} | options
    with pytest.raises(CommandError) as refusal:
        export(given.pop("incident"), given.pop("output"), **given)
    assert reason in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert not Bundle.objects.exists()
    assert list(tmp_path.glob("*bundle*")) == []


def test_export_bundle_is_checked_without_us(incident: Incident, tmp_path: Path) -> None:
    # What an auditor does, from the assembled bundle: sha256sum, openssl, and the bagit package.
    export(incident, tmp_path / "bundle.zip", "soc2")
    (tmp_path / "trusted.pem").write_text(SigningKey.objects.get().public_pem)
    lines = """
        set -e
        unzip -q bundle.zip -d bag && cd bag
        sha256sum --check --strict --quiet manifest-sha256.txt tagmanifest-sha256.txt
        openssl pkeyutl -verify -rawin -pubin -inkey ../trusted.pem \
            -sigfile data/bundle.sig -in data/bundle.json
    """
    found = subprocess.run(["bash", "-c", lines], cwd=tmp_path, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert "Signature Verified Successfully" in found.stdout
    assert bagit.Bag(str(tmp_path / "bag")).validate()
