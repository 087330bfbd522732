"""What a process gives back, in processes of their own, by their resident memory."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from tests.servers import ROOT

pytestmark = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library is not glibc"
)

_BEGIN = """
import ctypes, psutil
from config.operations import memory

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]

def blocks(number, size):
    taken = [libc.malloc(size) for _ in range(number)]
    for block in taken:
        libc.memset(block, 1, size)
    return taken

def free(taken):
    for block in taken:
        libc.free(block)

def mebibytes():
    return psutil.Process().memory_info().rss >> 20
"""
# A block that was freed, and a small one that stays in use above all the others.
_LARGE = """
free(blocks(1, 16 << 20))
taken = blocks(20, 4 << 20)
last = blocks(1, 100 << 10)
before = mebibytes()
free(taken)
print(before - mebibytes())
"""


def told(script: str) -> int:
    command = [sys.executable, "-c", _BEGIN + script]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return int(said.stdout)


def test_large_blocks_go_back_when_they_are_freed() -> None:
    assert told("memory.keep_no_large_blocks()\n" + _LARGE) > 70


def test_large_blocks_would_stay_otherwise() -> None:
    assert told(_LARGE) < 10
