"""Giving memory back to the system.

glibc takes every large block that is freed as a reason to keep blocks of that size from then on,
for each thread. A worker of several threads would come to hold several times what its largest
bodies and bundles took. Another C library does as it likes.
"""

from __future__ import annotations

import ctypes
from typing import Final

# From malloc.h.
_M_MMAP_THRESHOLD: Final = -3
# Above what a batch of 1,000 alerts takes, so that the usual request asks the system for nothing.
_LARGE: Final = 2**20

_libc = ctypes.CDLL(None)


def keep_no_large_blocks() -> None:
    """From now on what is large goes back when it is freed; for the start of a server's worker."""
    if hasattr(_libc, "mallopt"):
        _libc.mallopt(_M_MMAP_THRESHOLD, _LARGE)
