"""Setting PDFs in processes of their own, one after the other, each for one document.

A compiler keeps tens of megabytes of what it laid out, and what goes wrong in it would go wrong
in a worker that has other requests. The next process is started ahead, so that no document waits
for it.
"""

from __future__ import annotations

import atexit
import marshal
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from django.conf import settings

from exports.services import fonts, typesetter

_SECONDS: Final = 60
# Not the program's own directory first among the paths: its neighbours have everyday names.
_COMMAND: Final = [
    sys.executable,
    "-P",
    typesetter.__file__,
    os.fspath(settings.BASE_DIR / "templates" / "bundles"),
    os.fspath(fonts.DIRECTORY),
]
# It is given nothing that the worker has to keep to itself.
_KEPT: Final = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH")
# Its memory comes in one piece and in large pages, which saves a fifth of the time.
_TUNABLES: Final = "glibc.malloc.hugetlb=1:glibc.malloc.top_pad=67108864"
_ENVIRONMENT: Final = {
    **{name: os.environ[name] for name in _KEPT if name in os.environ},
    "GLIBC_TUNABLES": _TUNABLES,
}


class Failed(Exception):
    """There is no PDF, and why."""


class Refused(Failed):
    """The document cannot be set, and why, in the compiler's words."""


class _Press:
    def __init__(self) -> None:
        self._busy = threading.Lock()
        self._ready: subprocess.Popen[bytes] | None = None
        self._of: int | None = None

    def set(self, job: bytes) -> bytes:
        with self._busy:
            process = self._take()
            try:
                content, said = process.communicate(job, timeout=_SECONDS)
            except subprocess.TimeoutExpired:
                raise Failed(f"it took longer than {_SECONDS} s") from None
            finally:
                _end(process)
                self._prepare()
        if process.returncode == typesetter.REFUSED:
            raise Refused(content.decode())
        if process.returncode:
            last = said.decode(errors="replace").strip().splitlines()[-1:]
            raise Failed(" ".join([f"it ended with status {process.returncode}", *last]))
        if not content.startswith(b"%PDF-"):
            raise Failed("what came is no PDF")
        return content

    def _take(self) -> subprocess.Popen[bytes]:
        process, self._ready = self._ready, None
        # One that was started before a fork is the other process's, and one may have been killed.
        if process is not None and self._of == os.getpid() and process.poll() is None:
            return process
        try:
            return _start()
        except OSError as error:
            raise Failed(f"no process could be started ({error.strerror})") from error

    def _prepare(self) -> None:
        with suppress(OSError):  # then the next document says so, if it cannot be helped by then
            self._ready, self._of = _start(), os.getpid()

    def close(self) -> None:
        """Ends the process that waits for a document."""
        process, self._ready = self._ready, None
        if process is not None and self._of == os.getpid():
            _end(process)


def compile_pdf(
    template: str, *, inputs: Mapping[str, str], document: bytes, standard: str, at: str
) -> bytes:
    """The PDF of ``template`` with these values, dated ``at`` (ISO 8601), and the JSON that it
    attaches. Raises Refused, and Failed when the compiler came to no end, or to a bad one.
    """
    job = {
        "template": template,
        "inputs": dict(inputs),
        "document": document,
        "standard": standard,
        "at": at,
    }
    return _press.set(marshal.dumps(job))


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        _COMMAND,
        env=_ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """By force, where it has not ended; what it holds open is closed."""
    with process:
        if process.poll() is None:
            process.kill()


_press = _Press()
atexit.register(_press.close)
