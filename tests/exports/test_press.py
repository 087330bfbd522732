"""The processes that set PDFs: what becomes of them, and of whoever waits for one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from exports.services import press
from tests.servers import ROOT, without_database

JOB = {"template": "evidence.typ", "document": b"{}", "standard": "a-3b", "at": "2026-01-01T00:00Z"}
PATIENCE = 20.0


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[press._Press]:
    one = press._Press()
    monkeypatch.setattr(press, "_press", one)
    yield one
    one.close()


def compile_nothing() -> None:
    """A job that is refused, because it has no values for its template."""
    with pytest.raises(press.Refused, match="intricate"):
        press.compile_pdf(inputs={}, **JOB)  # type: ignore[arg-type]


def program(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(press, "_COMMAND", [sys.executable, "-c", text])


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def waiting(one: press._Press) -> psutil.Process:
    """The process that waits for the next document, once it has set itself up."""
    assert one._ready is not None
    process = psutil.Process(one._ready.pid)
    ignored = 1 << (signal.SIGTERM - 1)

    def is_set_up() -> bool:
        [line] = (
            line
            for line in Path(f"/proc/{process.pid}/status").read_text().splitlines()
            if line.startswith("SigIgn")
        )
        return bool(int(line.split()[1], 16) & ignored)

    until(is_set_up)
    return process


def test_each_document_has_a_process_of_its_own(fresh: press._Press) -> None:
    compile_nothing()
    first = waiting(fresh)
    compile_nothing()
    assert waiting(fresh).pid != first.pid
    assert not first.is_running()


def test_a_process_that_dies_is_told_of_and_the_next_one_works(
    monkeypatch: pytest.MonkeyPatch, fresh: press._Press
) -> None:
    with monkeypatch.context() as patched:
        program(patched, "import os; os.kill(os.getpid(), 9)")
        with pytest.raises(press.Failed, match="it ended with status -9"):
            press.compile_pdf(inputs={}, **JOB)  # type: ignore[arg-type]
        # The one that was started for the next document dies, too.
        died = fresh._ready
        assert died is not None
        until(lambda: died.poll() is not None)
    compile_nothing()


def test_what_a_process_said_last_is_told(
    monkeypatch: pytest.MonkeyPatch, fresh: press._Press
) -> None:
    program(monkeypatch, "raise MemoryError('all gone')")
    with pytest.raises(press.Failed, match="it ended with status 1 MemoryError: all gone"):
        press.compile_pdf(inputs={}, **JOB)  # type: ignore[arg-type]


def test_nothing_else_is_taken_for_a_pdf(
    monkeypatch: pytest.MonkeyPatch, fresh: press._Press
) -> None:
    program(monkeypatch, "print('ready')")
    with pytest.raises(press.Failed, match="what came is no PDF"):
        press.compile_pdf(inputs={}, **JOB)  # type: ignore[arg-type]


def test_a_process_that_hangs_is_ended(
    monkeypatch: pytest.MonkeyPatch, fresh: press._Press, tmp_path: Path
) -> None:
    place = tmp_path / "pids"
    hang = f"import os, time; print(os.getpid(), file=open({os.fspath(place)!r}, 'a'), flush=True)"
    with monkeypatch.context() as patched:
        program(patched, f"{hang}; time.sleep(600)")
        patched.setattr(press, "_SECONDS", 1.5)
        with pytest.raises(press.Failed, match=r"it took longer than 1\.5 s"):
            press.compile_pdf(inputs={}, **JOB)  # type: ignore[arg-type]
    # The next, of the same program, waits.
    assert fresh._ready is not None
    until(lambda: len(place.read_text().split()) == 2)
    hung, ready = map(int, place.read_text().split())
    assert ready == fresh._ready.pid
    assert not psutil.pid_exists(hung)


def test_one_document_is_set_at_a_time(
    monkeypatch: pytest.MonkeyPatch, fresh: press._Press, tmp_path: Path
) -> None:
    busy = tmp_path / "busy"
    # What comes while another is busy has no PDF to give.
    program(
        monkeypatch,
        "import os, sys, time; sys.stdin.buffer.read(); "
        f"os.mkdir({os.fspath(busy)!r}); time.sleep(0.05); os.rmdir({os.fspath(busy)!r}); "
        "print('%PDF-')",
    )
    with ThreadPoolExecutor(6) as pool:
        done = [
            pool.submit(press.compile_pdf, inputs={}, **JOB)  # type: ignore[arg-type]
            for _ in range(6)
        ]
    assert [one.result() for one in done] == [b"%PDF-\n"] * 6


def test_one_that_was_killed_while_it_waited_is_replaced(fresh: press._Press) -> None:
    compile_nothing()
    process = waiting(fresh)
    process.kill()
    until(lambda: process.status() == psutil.STATUS_ZOMBIE)
    compile_nothing()


def test_a_process_that_cannot_be_started_is_told_of(
    monkeypatch: pytest.MonkeyPatch, fresh: press._Press
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(press, "_COMMAND", ["/no/such/program"])
        with pytest.raises(press.Failed, match=r"no process could be started \(No such file"):
            press.compile_pdf(inputs={}, **JOB)  # type: ignore[arg-type]
    compile_nothing()


def test_the_document_is_had_though_the_next_process_cannot_be_started(
    monkeypatch: pytest.MonkeyPatch, fresh: press._Press
) -> None:
    compile_nothing()
    waiting(fresh)
    monkeypatch.setattr(press, "_COMMAND", ["/no/such/program"])
    compile_nothing()
    assert fresh._ready is None


def test_another_processs_is_left_alone(fresh: press._Press) -> None:
    compile_nothing()
    process, mine = waiting(fresh), fresh._ready
    fresh._of = -1  # as after a fork
    fresh.close()
    assert process.is_running()
    fresh._ready = mine
    compile_nothing()
    assert process.is_running()
    assert mine is not None
    press._end(mine)


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_who_stops_all_processes_does_not_take_the_document(
    fresh: press._Press, asked: signal.Signals
) -> None:
    compile_nothing()
    process = waiting(fresh)
    process.send_signal(asked)
    compile_nothing()
    assert not process.is_running()


def test_it_is_given_no_secret(monkeypatch: pytest.MonkeyPatch, fresh: press._Press) -> None:
    monkeypatch.setenv("SECRET_KEY", "not for everybody")
    compile_nothing()
    known = set(waiting(fresh).environ()) & set(os.environ)
    assert known <= set(press._KEPT)


def test_it_ends_with_its_worker() -> None:
    script = """
import django
django.setup()
import time
from exports.services import press
try:
    press.compile_pdf(
        "evidence.typ", inputs={}, document=b"", standard="a-3b", at="2026-01-01T00:00Z"
    )
except press.Refused:
    print(press._press._ready.pid, flush=True)
time.sleep(600)
"""
    worker = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=without_database(),
        stdout=subprocess.PIPE,
    )
    with worker:
        assert worker.stdout is not None
        process = psutil.Process(int(worker.stdout.readline()))
        assert process.is_running()
        worker.kill()
    until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
