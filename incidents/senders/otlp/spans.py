"""What is read of a request of OTLP, whatever it is written in, and what makes a span a bad one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from config.api.strictjson import MAX_DEPTH
from config.errors import Invalid, TooLarge

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
Encoding = Literal["application/x-protobuf", "application/json"]

MAX_SPANS: Final = 20_000
# The most that one span may take: a body may be larger, but it is decoded a span at a time.
MAX_SPAN_BYTES: Final = 2 * 1024 * 1024

SERVICE: Final = "service.name"
EXCEPTION: Final = "exception"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Attributes = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which attributes are decoded: those of these names, and those that begin like these.

    ``events`` says that the attributes of events other than exceptions are decoded too.
    """

    names: frozenset[str]
    prefixes: tuple[str, ...] = ()
    events: bool = False

    def __contains__(self, name: str) -> bool:
        return name in self.names or (bool(self.prefixes) and name.startswith(self.prefixes))


@dataclass(slots=True)
class Span:
    """One span that has ended, with what was wanted of its attributes.

    Ids are lower-case hex; ``parent_id`` is "" for the root of a trace. ``failed`` is the status
    of the span alone, ``succeeded`` that it says OK, which only somebody who knows sets.
    ``exceptions`` holds the attributes of its exception events, ``events`` those of the others by
    name, and ``service`` what the resource calls itself.
    """

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    started_at: datetime
    ended_at: datetime
    duration_ms: int
    failed: bool
    succeeded: bool
    message: str
    attributes: Attributes
    exceptions: list[Attributes]
    events: list[tuple[str, Attributes]]
    service: str | None


@dataclass(slots=True)
class Decoded:
    """The spans of a request in their order, and why how many others were rejected."""

    spans: list[Span] = field(default_factory=list)
    rejections: dict[str, int] = field(default_factory=dict)

    def reject(self, reason: str) -> None:
        """Counts one more span that was rejected for this reason."""
        self.rejections[reason] = self.rejections.get(reason, 0) + 1

    @property
    def rejected(self) -> int:
        return sum(self.rejections.values())

    @property
    def explanation(self) -> str:
        """What was wrong with the rejected spans, in one sentence for each kind; "" for none."""
        return " ".join(
            f"{count} span{'' if count == 1 else 's'}: {reason}."
            for reason, count in self.rejections.items()
        )


BAD_ID: Final = "the ids must be 16 and 8 bytes, not all of them zero"
BAD_TIME: Final = "it must have started before it ended, at most 5 minutes ahead"
NOT_ENDED: Final = "it must have ended"
TOO_LARGE: Final = f"it must be at most {MAX_SPAN_BYTES // 1024 // 1024} MiB"


def refusal_of(
    trace_id: bytes, span_id: bytes, parent_id: bytes, started: int, ended: int, latest: int
) -> str | None:
    if len(trace_id) != 16 or len(span_id) != 8 or len(parent_id) not in (0, 8):
        return BAD_ID
    if not any(trace_id) or not any(span_id):
        return BAD_ID
    if not ended:
        return NOT_ENDED
    if not started <= ended <= latest:
        return BAD_TIME
    return None


def keep(decoded: Decoded, result: Span | str) -> None:
    if isinstance(result, Span):
        decoded.spans.append(result)
    else:
        decoded.reject(result)


def too_deep() -> Invalid:
    return Invalid.field("", f"an attribute is nested deeper than {MAX_DEPTH} levels")


def too_many() -> TooLarge:
    return TooLarge(f"A request holds at most {MAX_SPANS:,} spans.")


def moment(nanoseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=nanoseconds // 1_000)


def nanoseconds(moment: datetime) -> int:
    return int((moment - _EPOCH) / timedelta(microseconds=1)) * 1_000
