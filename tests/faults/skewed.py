"""Firebreak with a clock that the test may put wrong, one worker at a time.

The file that SKEW_FILE names holds a JSON object of seconds by process id; a process that it
names lives so far ahead of its machine.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta

from config import clock
from config.wsgi import application

__all__ = ["application"]

_path = os.environ["SKEW_FILE"]
_seen: tuple[int, timedelta] = (0, timedelta())


def _now() -> datetime:
    global _seen
    written = os.stat(_path).st_mtime_ns
    if written != _seen[0]:
        with open(_path) as file:
            seconds = json.load(file).get(str(os.getpid()), 0)
        _seen = (written, timedelta(seconds=seconds))
    return datetime.now(UTC) + _seen[1]


clock.now = _now
