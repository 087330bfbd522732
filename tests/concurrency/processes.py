"""Other processes that work on the test's own database, each with its own connection."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Barrier
from typing import Any

from django.db import connections

_context = multiprocessing.get_context("fork")


def run_all(
    function: Callable[..., Any], calls: Sequence[Mapping[str, Any]], *, timeout: float = 60
) -> list[Any]:
    """Calls ``function`` with each of these arguments, each in a process, all at once.

    Their answers, in order; AssertionError with the traceback when one of them raised.
    """
    # A connection must not be shared with a fork.
    connections.close_all()
    barrier = _context.Barrier(len(calls))
    running = []
    for call in calls:
        ours, theirs = _context.Pipe(duplex=False)
        process = _context.Process(target=_work, args=(theirs, barrier, function, call))
        process.start()
        theirs.close()
        running.append((process, ours))
    answers = []
    try:
        for _, pipe in running:
            assert pipe.poll(timeout), "a process hangs"
            answer, failure = pipe.recv()
            assert failure is None, failure
            answers.append(answer)
    finally:
        for process, pipe in running:
            process.kill()
            process.join()
            pipe.close()
    return answers


@contextmanager
def process_of(function: Callable[[], Any]) -> Iterator[BaseProcess]:
    """A process that calls ``function``, to be killed at any moment; it is when the block ends."""
    connections.close_all()
    process = _context.Process(target=_call, args=(function,))
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def _call(function: Callable[[], Any]) -> None:
    _forget_connections()
    function()


def _work(
    pipe: Connection, barrier: Barrier, function: Callable[..., Any], call: Mapping[str, Any]
) -> None:
    _forget_connections()
    try:
        barrier.wait()
        answer, failure = function(**call), None
    except BaseException:  # noqa: BLE001
        answer, failure = None, traceback.format_exc()
    connections.close_all()
    pipe.send((answer, failure))


def _forget_connections() -> None:
    # The parent may have kept another connection, of a context that is not this one: it is not
    # ours to use or to close.
    for inherited in connections.all(initialized_only=True):
        inherited.connection = None
