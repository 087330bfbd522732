"""A program that sets one PDF: a job on standard input, the file on standard output.

    python exports/services/typesetter.py TEMPLATES FONTS

The job is one line of JSON, and then what the document attaches, to the end. Exit status 0, or
REFUSED with the compiler's reason in place of the file. It knows nothing of Django, so that it is
ready in a moment.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import cast

import typst

REFUSED = 3


def main(templates: str, fonts: str) -> int:
    # Who stops a server stops all of its processes; but what it has begun it finishes.
    for asked in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked, signal.SIG_IGN)
    compiler = typst.Compiler(
        root=templates,
        font_paths=typst.Fonts(include_system_fonts=False, font_paths=[fonts]),
        ignore_system_fonts=True,
    )
    line = sys.stdin.buffer.readline()
    if not line:
        return 0  # There was nothing to set.
    job = json.loads(line)
    try:
        content = compiler.compile(
            input=Path(templates) / job["template"],
            format="pdf",
            sys_inputs={**job["inputs"], "bundle": sys.stdin.buffer.read().decode()},
            pdf_standards=[job["standard"]],
            timestamp=datetime.fromisoformat(job["at"]),
        )
    except typst.TypstError as refusal:
        sys.stdout.buffer.write(refusal.message.encode())
        return REFUSED
    sys.stdout.buffer.write(cast(bytes, content))
    return 0


if __name__ == "__main__":
    status = main(*sys.argv[1:])  # noqa: TID251 (here it is the program)
    sys.stdout.flush()
    # At once: to take apart what was laid out takes half as long as to lay it out.
    os._exit(status)
