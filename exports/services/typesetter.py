"""A program that sets one PDF: a job on standard input, the file on standard output.

    python exports/services/typesetter.py TEMPLATES FONTS

The job is a dictionary as ``marshal`` writes it, with the values of
:func:`exports.services.press.compile_pdf`. Exit status 0, or REFUSED with the compiler's reason in
place of the file. It knows nothing of Django and imports little, so that it is ready in a moment.
"""

from __future__ import annotations

import marshal
import os
import signal
import sys
from datetime import datetime

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
    try:
        job = marshal.load(sys.stdin.buffer)  # noqa: S302 (from the process that started this one)
    except EOFError:
        return 0  # There is nothing to set any more.
    try:
        content = compiler.compile(
            input=os.path.join(templates, job["template"]),
            format="pdf",
            sys_inputs={**job["inputs"], "bundle": job["document"].decode()},
            pdf_standards=[job["standard"]],
            timestamp=datetime.fromisoformat(job["at"]),
        )
    except typst.TypstError as refusal:
        sys.stdout.buffer.write(refusal.message.encode())
        return REFUSED
    # One file, as it was asked for.
    sys.stdout.buffer.write(content)  # type: ignore[arg-type]
    return 0


if __name__ == "__main__":
    status = main(*sys.argv[1:])  # noqa: TID251 (here it is the program)
    sys.stdout.flush()
    # At once: to take apart what was laid out takes half as long as to lay it out.
    os._exit(status)
