#!/usr/bin/env python
"""Runs Firebreak's management commands."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if sys.argv[1:2] == ["verify_bundle"] and any(
        argument.partition("=")[0] == "--public-key" for argument in sys.argv
    ):
        # An auditor's machine: with keys given, no database is asked, so none need be started.
        os.environ.setdefault("DATABASE_URL", "postgres:///")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"{error}")
    except BrokenPipeError:
        # Whoever reads our output has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


if __name__ == "__main__":
    main()
