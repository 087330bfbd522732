"""What housekeeping does: tasks that the apps bring, each safe in several processes at once.

An app registers its tasks when it is ready. A task takes no arguments, works in transactions of
its own, and returns how many things it did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from config import clock

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
            result: int | Exception = task()
        except Exception as error:  # noqa: BLE001 - reported by the caller, with the others
            result = error
        _note(name, result)
        yield name, result


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
