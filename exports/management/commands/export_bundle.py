"""Export a bundle about an incident."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.actors import Actor
from config.api.values import parse_timestamp
from config.errors import FirebreakError
from config.tenancy import scope
from exports.enums import BundleType
from exports.services import downloads, exporting
from incidents.errors import IncidentNotFound
from incidents.models import Incident

VIA = "export_bundle"


class Command(BaseCommand):
    help = "Export a signed bundle about an incident, keep it, and write it to a file."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("incident", help="the incident's id")
        parser.add_argument("--type", required=True, choices=BundleType.values)
        parser.add_argument(
            "--output", required=True, metavar="PATH", help="the file, or - for standard output"
        )
        parser.add_argument(
            "--as",
            dest="form",
            choices=list(downloads.MEDIA_TYPES),
            help="the form of the file; by the ending of PATH, else json",
        )
        parser.add_argument("--reason", help="why it is exported")
        parser.add_argument("--actor", metavar="NAME", help="the person who exports")
        parser.add_argument(
            "--include-raw-steps", action="store_true", help="also the contents of trace steps"
        )
        parser.add_argument("--prepared-for", metavar="NAME")
        parser.add_argument("--period-start", metavar="TIME", help="RFC 3339, with an offset")
        parser.add_argument("--period-end", metavar="TIME", help="the first moment after it")
        parser.add_argument("--auditor-notes", metavar="TEXT")

    def handle(self, *args: Any, **options: Any) -> None:
        path = options["output"]
        form: downloads.Form = options["form"] or _form_of(path)
        try:
            with _output(path) as file:
                exported = _export(options)
                file.write(downloads.download(bundle=exported.bundle, form=form).content)
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror or error}") from error
        except FirebreakError as error:
            raise CommandError(error.detail) from error
        if exported.notice:
            self.stderr.write(exported.notice)
        # Standard output may be the file.
        self.stderr.write(
            f"{exported.bundle.bundle_type} bundle {exported.bundle.pk}, SHA-256 "
            f"{exported.bundle.sha256}, key {exported.bundle.key_id}"
        )


def _form_of(path: str) -> downloads.Form:
    ending = Path(path).suffix.removeprefix(".").lower()
    return next((form for form in downloads.MEDIA_TYPES if form == ending), "json")


@contextmanager
def _output(path: str) -> Iterator[IO[bytes]]:
    """The file to write, which appears under its name whole or not at all."""
    if path == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = Path(path)
    if target.is_dir():
        raise CommandError(f"{path}: Is a directory")
    if target.exists() and not target.is_file():
        # A pipe or a device is written, never replaced.
        with target.open("wb") as file:
            yield file
        return
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        partial.chmod(0o666 & ~_umask())
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _export(options: dict[str, Any]) -> exporting.Exported:
    incident = _incident(options["incident"])
    with scope.tenant(incident.tenant_id):
        return exporting.export(
            incident=incident,
            bundle_type=BundleType(options["type"]),
            by=Actor(via=VIA, name=options["actor"]),
            reason=options["reason"],
            include_raw_steps=options["include_raw_steps"],
            prepared_for=options["prepared_for"],
            period_start=_time(options["period_start"], "--period-start"),
            period_end=_time(options["period_end"], "--period-end"),
            auditor_notes=options["auditor_notes"],
        )


def _incident(text: str) -> Incident:
    try:
        id_ = UUID(text)
    except ValueError:
        raise CommandError(f"{text!r} is not the id of an incident.") from None
    incident: Incident | None = Incident.objects.filter(pk=id_).first()
    if incident is None:
        raise IncidentNotFound
    return incident


def _time(text: str | None, name: str) -> Any:
    if text is None:
        return None
    try:
        return parse_timestamp(text)
    except ValueError as error:
        raise CommandError(f"{name} {error}.") from None
