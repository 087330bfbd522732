"""Exports real failed runs and has them checked by other people's tools. Run by hand:

    python tests/benchmarks/who_and_when_exports.py PATH/TO/who-and-when.ndjson.gz

Each line is a run of Who&When. It is reported over HTTP to a new tenant of the database that
DATABASE_URL names, an hour after the one before so that each opens an incident of its own, its
steps a second apart (the data has no times). Every incident is exported as all three kinds; every
JSON and ZIP is verified by Firebreak, every bag by sha256sum, openssl and the bagit package.
"""

# ruff: noqa: E402
from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

import bagit
from django.conf import settings
from django.test import Client

from config.actors import COMMAND_LINE
from config.tenancy.enums import Scope
from config.tenancy.services import keys

KINDS = ("evidence", "soc2", "executive_debrief")
TYPES = {"json": "application/json", "pdf": "application/pdf", "zip": "application/zip"}
CHECKS = """
    set -e
    unzip -q bundle.zip -d bag && cd bag
    sha256sum --check --strict --quiet manifest-sha256.txt tagmanifest-sha256.txt
    openssl pkeyutl -verify -rawin -pubin -inkey ../trusted.pem \
        -sigfile data/bundle.sig -in data/bundle.json
"""


class Caller:
    """Calls the API with a key of a tenant of its own."""

    def __init__(self) -> None:
        tenant = f"who-and-when-{uuid.uuid4().hex[:8]}"
        _, plaintext = keys.issue(
            by=COMMAND_LINE, tenant_id=tenant, name="acceptance", scopes=list(Scope.values)
        )
        self.tenant = tenant
        # The host that the settings allow, whatever they are.
        host = next((name for name in settings.ALLOWED_HOSTS if name != "*"), "localhost")
        self._client = Client(
            headers={"Authorization": f"Bearer {plaintext}"}, SERVER_NAME=host.lstrip(".")
        )

    def send(self, method: str, address: str, body: Any) -> Any:
        answer = getattr(self._client, method)(
            f"/api/v1/{address}", json.dumps(body), content_type="application/json"
        )
        if answer.status_code not in (200, 201):
            raise SystemExit(f"{method} {address}: {answer.status_code} {answer.content!r}")
        return answer.json()

    def fetch(self, address: str) -> bytes:
        answer = self._client.get(f"/api/v1/{address}")
        if answer.status_code != 200:
            raise SystemExit(f"get {address}: {answer.status_code} {answer.content!r}")
        return answer.content

    def verify(self, file: bytes, form: str) -> Any:
        answer = self._client.post("/api/v1/exports/verify/", file, content_type=TYPES[form])
        return answer.json()


def report(caller: Caller, run: dict[str, Any], at: datetime) -> str:
    """Reports a run as the platform would; the id of its incident."""
    run_id = run["question_ID"]
    caller.send(
        "post",
        "runs/",
        {
            "run_id": run_id,
            "agent_id": identifier(run["mistake_agent"]),
            "goal": run["question"][:10_000],
            "started_at": stamp(at),
        },
    )
    caller.send(
        "put",
        f"runs/{run_id}/trace/",
        {
            "trace_id": f"trace-{run_id}",
            "violation_step_index": int(run["mistake_step"]),
            "steps": [
                {
                    "step_index": index,
                    "timestamp": stamp(at + timedelta(seconds=index)),
                    "step_type": step["role"],
                    "agent_id": identifier(step.get("name") or step["role"]),
                    "content": step["content"],
                }
                for index, step in enumerate(run["history"])
            ],
        },
    )
    answer = caller.send(
        "post",
        f"runs/{run_id}/failure/",
        {
            "failure_type": "exception",
            "error_code": "STEP_FAILURE",
            "error_message": run["mistake_reason"][:2_000],
            "occurred_at": stamp(at + timedelta(seconds=len(run["history"]))),
        },
    )
    incident: str = answer["incident"]["id"]
    return incident


def triage(caller: Caller, incident: str, number: int) -> None:
    """Leaves some open, some acknowledged, and resolves the others."""
    if number % 3:
        caller.send("post", f"incidents/{incident}/acknowledge/", {"actor": "Ada"})
    if number % 3 == 2:
        caller.send(
            "post",
            f"incidents/{incident}/resolve/",
            {"actor": "Ada", "resolution_method": "manual", "resolution_type": "real"},
        )


def check_without_us(file: bytes, pem: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "bundle.zip").write_bytes(file)
        (place / "trusted.pem").write_text(pem)
        found = subprocess.run(["bash", "-c", CHECKS], cwd=place, capture_output=True, text=True)
        if found.returncode != 0 or "Signature Verified Successfully" not in found.stdout:
            raise SystemExit(f"sha256sum or openssl: {found.stdout}{found.stderr}")
        bagit.Bag(str(place / "bag")).validate()


def identifier(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "._:@+=-") else "-" for c in name)[
        :128
    ]


def stamp(at: datetime) -> str:
    return at.isoformat()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("path", type=Path)
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N runs")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="write the bundles there")
    options = parser.parse_args()
    with gzip.open(options.path, "rt", encoding="utf-8") as lines:
        runs = [json.loads(line) for line in lines][: options.limit]
    caller = Caller()
    first = datetime.now(UTC) - timedelta(hours=len(runs) + 1)
    incidents = []
    for number, run in enumerate(runs):
        incidents.append(report(caller, run, first + timedelta(hours=number)))
        triage(caller, incidents[-1], number)
    seconds: list[float] = []
    statuses: Counter[str] = Counter()
    risks: Counter[str] = Counter()
    for number, (run, incident) in enumerate(zip(runs, incidents, strict=True)):
        for kind in KINDS:
            started = time.perf_counter()
            made = caller.send(
                "post",
                "exports/",
                {
                    "incident_id": incident,
                    "bundle_type": kind,
                    "include_raw_steps": number % 2 == 0,
                    "export_reason": "Acceptance",
                },
            )
            seconds.append(time.perf_counter() - started)
            pem = next(
                key["public_pem"]
                for key in json.loads(caller.fetch("exports/keys/"))["results"]
                if key["key_id"] == made["key_id"]
            )
            files = {
                form: caller.fetch(f"exports/{made['id']}/download/?as={form}") for form in TYPES
            }
            for form in ("json", "zip"):
                found = caller.verify(files[form], form)
                if not found["verified"]:
                    raise SystemExit(f"{made['id']} as {form}: {found['failure']}")
            check_without_us(files["zip"], pem)
            bundle = json.loads(files["json"])["bundle"]
            (told,) = bundle["runs"]
            if told["run_id"] != run["question_ID"] or told["trace"]["step_count"] != len(
                run["history"]
            ):
                raise SystemExit(f"{made['id']} does not tell the run {run['question_ID']}")
            if number % 2 == 0:
                contents = [step["content"] for step in told["trace"]["steps"]]
                if contents != [step["content"] for step in run["history"]]:
                    raise SystemExit(f"{made['id']} does not hold what the run said")
            if made["pdf_conformance"] != "PDF/A-3b":
                print(f"{made['id']}: {made['pdf_conformance']}: {made['pdf_notice']}")
            statuses.update(f"{c['id']} {c['status']}" for c in bundle.get("controls", []))
            risks.update([bundle["risk_level"]["level"]] if "risk_level" in bundle else [])
            if options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                for form, content in files.items():
                    (options.keep / f"{number:03}-{kind}.{form}").write_bytes(content)
    milliseconds = [1_000 * second for second in seconds]
    print(f"{len(runs)} runs, {len(set(incidents))} incidents of tenant {caller.tenant}")
    print(f"{len(seconds)} bundles, each verified as JSON and ZIP, by sha256sum, openssl, bagit")
    print(
        f"exporting one: median {statistics.median(milliseconds):.0f} ms, "
        f"slowest {max(milliseconds):.0f} ms"
    )
    for name, times in sorted(statuses.items()):
        print(f"{name}: {times}")
    print("risk:", ", ".join(f"{level} {times}" for level, times in sorted(risks.items())))


if __name__ == "__main__":
    main()
