"""What housekeeping does: tasks that the apps bring, each safe in several processes at once.

An app registers its tasks when it is ready. A task takes no arguments, works in transactions of
its own, and returns how many things it did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

Task = Callable[[], int]

_tasks: dict[str, Task] = {}


def register(name: str, task: Task) -> None:
    """Adds a task; ``name`` says in words what its number counts."""
    _tasks[name] = task


def run() -> Iterator[tuple[str, int | Exception]]:
    """Runs every task in the order they were registered: its name, and its number or its error.

    A task that fails does not keep the others from running.
    """
    for name, task in _tasks.items():
        try:
            yield name, task()
        except Exception as error:  # noqa: BLE001 - reported by the caller, with the others
            yield name, error
