"""Acceptance by a real client: the 126 failed runs of Who&When, over HTTP, sent twice.

    python tests/benchmarks/who_and_when.py runs.ndjson.gz --url http://127.0.0.1:8000 --key KEY

Each line of the file is a run: ``question_ID``, ``question``, ``history`` (role, name, content),
``mistake_agent``, ``mistake_step`` (an index into the history) and ``mistake_reason``. It has no
times: the steps are spaced a second apart, so that every run ends at the moment of this script's
start. The key needs the scopes ingest and read, of a tenant that has had none of this before.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests


class Client:
    """Calls of the API, each of which has to be answered with what is expected."""

    def __init__(self, url: str, key: str) -> None:
        self._base = url.rstrip("/") + "/api/v1/"
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {key}"

    def __call__(self, method: str, path: str, body: Any = None, *, expect: int = 200) -> Any:
        url = path if path.startswith("http") else self._base + path
        answer = self._session.request(method, url, json=body, timeout=60)
        if answer.status_code != expect:
            sys.exit(f"{method} {path}: {answer.status_code} instead of {expect}: {answer.text}")
        return answer.json()

    def every(self, path: str) -> list[Any]:
        """All rows of a list, page by page."""
        rows: list[Any] = []
        following: str | None = f"{path}?page_size=100"
        while following:
            page = self("GET", following)
            rows += page["results"]
            following = page["next"]
        return rows


def expect(what: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        sys.exit(f"{what}: {found!r} instead of {wanted!r}")


def steps(run: dict[str, Any], end: datetime) -> list[dict[str, Any]]:
    history = run["history"]
    start = end - timedelta(seconds=len(history))
    return [
        {
            "step_index": index,
            "timestamp": (start + timedelta(seconds=index)).isoformat(),
            "step_type": entry["role"],
            "agent_id": identifier(entry.get("name")),
            "content": entry["content"],
        }
        for index, entry in enumerate(history)
    ]


def identifier(name: str | None) -> str | None:
    """A name as an identifier of the API's: what it does not allow becomes a hyphen."""
    if not name:
        return None
    allowed = "._:@/+=-"
    return "".join(c if c.isascii() and (c.isalnum() or c in allowed) else "-" for c in name)


def send(client: Client, runs: list[dict[str, Any]], end: datetime, *, again: bool) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    status = 200 if again else 201
    for run in runs:
        run_id = run["question_ID"]
        mistake = int(run["mistake_step"])
        told = steps(run, end)
        client(
            "POST",
            "runs/",
            {
                "run_id": run_id,
                "goal": run["question"],
                "agent_id": identifier(run["mistake_agent"]),
                "started_at": told[0]["timestamp"],
            },
            expect=status,
        )
        client(
            "PUT",
            f"runs/{run_id}/trace/",
            {
                "trace_id": f"trace-{run_id}",
                "steps": told,
                "violation_step_index": mistake,
                "violation_timestamp": told[mistake]["timestamp"],
            },
            expect=status,
        )
        answer = client(
            "POST",
            f"runs/{run_id}/failure/",
            {
                "failure_type": "exception",
                "error_code": "STEP_FAILURE",
                "error_message": run["mistake_reason"][:2000],
                "occurred_at": end.isoformat(),
            },
            expect=status,
        )
        outcomes[answer["outcome"]] += 1
    return outcomes


def read(client: Client, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Everything that was sent, as it reads back, checked against the file."""
    listed = client.every("runs/")
    expect("runs", len(listed), len(runs))
    expect("statuses", {run["status"] for run in listed}, {"failed"})
    traces = {}
    for run in runs:
        run_id = run["question_ID"]
        trace = traces[run_id] = client("GET", f"runs/{run_id}/trace/")
        expect("steps", trace["step_count"], len(run["history"]))
        expect("inflection point", trace["violation_step_index"], int(run["mistake_step"]))
        for step, entry in zip(trace["steps"], run["history"], strict=True):
            expect("content", step["content"], entry["content"])
            digest = hashlib.sha256(entry["content"].encode()).hexdigest()
            expect("hash", step["sha256"], digest)
        failure = client("GET", f"runs/{run_id}/failure/")
        expect("message", failure["error_message"], run["mistake_reason"][:2000])
        expect("evidence", len(failure["evidence"]), 1)
    incidents = client.every("incidents/")
    calls = sum(incident["calls_affected"] for incident in incidents)
    expect("calls affected", calls, len(runs))
    if len(incidents) > 5:
        sys.exit(f"{len(incidents)} incidents are not few")
    return {"runs": listed, "traces": traces, "incidents": incidents}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("file", type=Path)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--key", required=True)
    options = parser.parse_args()
    opener = gzip.open if options.file.suffix == ".gz" else open
    with opener(options.file, "rt", encoding="utf-8") as lines:
        runs = [json.loads(line) for line in lines]
    client = Client(options.url, options.key)
    end = datetime.now(UTC)
    started = time.perf_counter()
    first = send(client, runs, end, again=False)
    seconds = time.perf_counter() - started
    before = read(client, runs)
    second = send(client, runs, end, again=True)
    expect("outcomes of the repeat", dict(second), {"duplicate": len(runs)})
    after = read(client, runs)
    expect("everything, after the repeat", after, before)
    count = sum(len(run["history"]) for run in runs)
    print(f"{len(runs)} runs with {count} steps in {seconds:.1f} s: {dict(first)}")
    for incident in before["incidents"]:
        print(f"  {incident['title']}: {incident['calls_affected']} calls, {incident['severity']}")
    print("Sent again: nothing changed.")


if __name__ == "__main__":
    main()
