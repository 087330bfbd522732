"""Sentry's webhook for issue alerts, and the signature on it.

An event is a report, known by its id; Sentry's issue is the group key.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any, Final

from config.api import strictjson
from config.api.values import parse_timestamp
from config.errors import FieldError, Invalid
from incidents.enums import CauseType
from incidents.senders import fitting
from incidents.services.reports import Report

TRIGGER: Final = "sentry"
# The kind of webhook that an alert rule sends; the others are about things that are not ours.
RESOURCE: Final = "event_alert"


def signature(*, secret: str, body: bytes) -> str:
    """What Sentry puts in ``Sentry-Hook-Signature``: HMAC-SHA256 over the body, in hex."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def is_signed(*, secret: str, body: bytes, presented: str) -> bool:
    """Whether a signature is the body's, in a time that does not depend on how wrong it is."""
    expected = signature(secret=secret, body=body)
    return hmac.compare_digest(expected.encode(), presented.encode("utf-8", "surrogateescape"))


def read(data: bytes, *, at: datetime) -> Report:
    """The report that an issue alert is; Invalid when it is none."""
    body = strictjson.loads(data)
    inner = body.get("data") if isinstance(body, dict) else None
    event = inner.get("event") if isinstance(inner, dict) else None
    if not isinstance(event, dict):
        raise Invalid.field("/data/event", "must be a JSON object")
    errors = []
    event_id = event.get("event_id")
    if not isinstance(event_id, str) or not event_id:
        errors.append(FieldError("/data/event/event_id", "must be a string of 1 character or more"))
    occurred_at = None
    try:
        occurred_at = _occurred_at(event)
    except ValueError as error:
        errors.append(FieldError("/data/event/timestamp", str(error)))
    if occurred_at and (late := fitting.ahead(occurred_at, at=at, pointer="/data/event/datetime")):
        errors.append(late)
    if errors:
        raise Invalid(errors)
    return _report(inner or {}, event, str(event_id), occurred_at)


def _report(
    inner: dict[str, Any], event: dict[str, Any], event_id: str, occurred_at: datetime | None
) -> Report:
    tags = _tags(event.get("tags"))
    details = event.get("metadata") if isinstance(event.get("metadata"), dict) else {}
    title = fitting.text(event.get("title"), 200)
    issue = event.get("issue_id")
    # The issue's id is a string, and was a number in older versions.
    group = str(issue) if isinstance(issue, (str, int)) and issue != "" else title
    return Report(
        trigger_type=TRIGGER,
        trigger_value=fitting.text(inner.get("triggered_rule")),
        group_key=fitting.distinct(group, fitting.MAX_GROUP) if group else None,
        call_id=fitting.distinct(event_id, fitting.MAX_CALL_ID),
        occurred_at=occurred_at,
        run_id=fitting.run_id(tags.get("run_id")),
        agent_id=fitting.identifier(tags.get("agent_id")),
        model=fitting.text(tags.get("model"), 200),
        error_code=fitting.text((details or {}).get("type"), 200),
        error_message=fitting.text((details or {}).get("value"))
        or fitting.text(event.get("message"))
        or title,
        metadata=fitting.metadata(
            {
                "issue_url": fitting.text(event.get("issue_url")),
                "web_url": fitting.text(event.get("web_url")),
                "culprit": fitting.text(event.get("culprit")),
                "release": fitting.text(event.get("release")),
                "tags": tags,
            }
        ),
        severity=fitting.severity(event.get("level")),
        title=title,
        description=fitting.text(event.get("culprit")) or "",
        cause_type=CauseType.SYSTEM,
    )


def _tags(tags: Any) -> dict[str, str]:
    """Sentry's tags, which are pairs; what is not a pair of strings is no tag."""
    return {
        pair[0]: pair[1]
        for pair in (tags if isinstance(tags, list) else ())
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(one, str) for one in pair)
    }


def _occurred_at(event: dict[str, Any]) -> datetime | None:
    if isinstance(event.get("datetime"), str):
        return parse_timestamp(event["datetime"])
    stamp = event.get("timestamp")
    if isinstance(stamp, str):
        return parse_timestamp(stamp)
    if isinstance(stamp, (int, float)) and not isinstance(stamp, bool):
        if not 0 <= stamp < 253_402_300_800:
            raise ValueError("must be in the years 1970 to 9999")
        return datetime.fromtimestamp(stamp, UTC)
    return None
