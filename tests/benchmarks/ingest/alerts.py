"""The alerts of the benchmark: a flood of failing calls, about 300 bytes each."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

# Cents for 1,000 tokens read and written; made up, and the same for every call.
PRICE_CONTEXT, PRICE_GENERATED = Decimal("0.25"), Decimal("1.00")


def flood(name: str, count: int, *, kinds: int = 1, runs: bool = False) -> Iterator[dict[str, Any]]:
    """Failing calls of the last minute, all different; ``name`` keeps floods apart."""
    start = datetime.now(UTC) - timedelta(seconds=60)
    for number in range(count):
        occurred = start + timedelta(microseconds=60_000_000 * number // count)
        alert = {
            "trigger_type": "failure_spike",
            "group_key": f"upstream-{number % kinds}",
            # Without an order, as the ids are that platforms give to calls.
            "call_id": blake2b(f"{name}-{number}".encode(), digest_size=12).hexdigest(),
            "occurred_at": occurred.isoformat().replace("+00:00", "Z"),
            "cost_delta_cents": f"{number % 500}.25",
            "model": "large-2",
            "error_code": "EXECUTION_TIMEOUT",
            "error_message": f"upstream did not answer within 30000 ms (attempt {number % 3})",
        }
        if runs:
            alert |= {
                "run_id": f"{name}-run-{number // 20}",
                "agent_id": f"agent-{number % 5}",
                "metadata": {"region": "eu-west", "attempt": number % 3, "queue": ["a", "b"]},
            }
        yield alert


def lines(alerts: Iterator[dict[str, Any]]) -> bytes:
    return b"".join(_dump(alert) + b"\n" for alert in alerts)


def batches(alerts: Iterator[dict[str, Any]], size: int) -> list[bytes]:
    """Bodies for alerts/batch/."""
    bodies = []
    while batch := list(islice(alerts, size)):
        bodies.append(_dump({"alerts": batch}))
    return bodies


def singles(alerts: Iterator[dict[str, Any]]) -> list[bytes]:
    """Bodies for alerts/."""
    return [_dump(alert) for alert in alerts]


def for_alertmanager(alerts: Iterator[dict[str, Any]], size: int) -> list[bytes]:
    """The same alerts as bodies for Alertmanager's POST /api/v2/alerts."""
    bodies = []
    while batch := list(islice(alerts, size)):
        bodies.append(
            _dump(
                [
                    {
                        "labels": {
                            "alertname": alert["trigger_type"],
                            **{
                                name: alert[name]
                                for name in ("group_key", "call_id", "model", "error_code")
                            },
                        },
                        "annotations": {
                            "message": alert["error_message"],
                            "cost": alert["cost_delta_cents"],
                        },
                        "startsAt": alert["occurred_at"],
                    }
                    for alert in batch
                ]
            )
        )
    return bodies


def azure(path: Path) -> Iterator[dict[str, Any]]:
    """The Azure trace of LLM calls (CSV: TIMESTAMP, ContextTokens, GeneratedTokens) as an outage.

    Every call fails. Costs are tokens times the prices above.
    """
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as stream:
        for number, row in enumerate(csv.DictReader(stream), start=2):
            cents = (
                PRICE_CONTEXT * int(row["ContextTokens"])
                + PRICE_GENERATED * int(row["GeneratedTokens"])
            ) / 1000
            yield {
                "trigger_type": "failure_spike",
                "group_key": "azure-code",
                "call_id": f"azure-code-{number}",
                "occurred_at": row["TIMESTAMP"].strip().replace(" ", "T") + "Z",
                "cost_delta_cents": f"{cents:.4f}",
            }


def _dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
