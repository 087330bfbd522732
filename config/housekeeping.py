"""What housekeeping does: tasks that the apps bring, each safe in several processes at once.

An app registers its tasks when it is ready. A task takes no arguments, works in transactions of
its own, and returns how many things it did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.db import DatabaseError, connection

from config import clock

Task = Callable[[], int]

_tasks: dict[str, Task] = {}


def register(name: str, task: Task) -> None:
    """Adds a task; ``name`` says in words what its number counts."""
    _tasks[name] = task


def run() -> Iterator[tuple[str, int | Exception]]:
    """Runs every task in the order they were registered: its name, and its number or its error.

    A task that fails does not keep the others from running, nor does a database that is away: the
    next task finds out whether it is back.
    """
    for name, task in _tasks.items():
        _check_connection()
        try:
            result: int | Exception = task()
        except Exception as error:  # noqa: BLE001 - reported by the caller, with the others
            result = error
            _check_connection()
        try:
            _note(name, result)
        except DatabaseError as error:
            # What cannot be noted was not done, as far as anybody can tell.
            result = result if isinstance(result, Exception) else error
        yield name, result


def _check_connection() -> None:
    """Closes a connection that no longer works, so that a new one is made; no request does it here.

    Not within a caller's transaction, which ends with its connection.
    """
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()


def _note(name: str, result: int | Exception) -> None:
    from config.operations.models import HousekeepingTask  # once the apps are ready

    failure = f"{type(result).__name__}: {result}" if isinstance(result, Exception) else ""
    HousekeepingTask.objects.update_or_create(
        name=name,
        defaults={
            "last_run_at": clock.now(),
            "last_count": None if isinstance(result, Exception) else result,
            "last_error": failure,
        },
    )
