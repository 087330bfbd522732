"""Who acts: every change that a person or a part of Firebreak makes names its actor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Actor:
    """``via`` is what the act came through (an API key's name, ``admin``, ``housekeeping``);
    ``name`` the person as the caller named them, None when nobody did.
    """

    via: str
    name: str | None = None

    def __str__(self) -> str:
        return f"{self.name} via {self.via}" if self.name else self.via


# Whoever may run a command on the machine; the system does not tell who that is.
COMMAND_LINE: Final = Actor(via="command line")
