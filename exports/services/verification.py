"""Checking a downloaded bundle against keys that the caller trusts, never the one inside it.

A JSON document or a ZIP holds only if it is, to the byte, what Firebreak would have written:
the parts are checked one by one, so that the first that does not hold can be named, and at the
end the whole file is compared with the one rebuilt from its parts.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from typing import Any, Literal, NoReturn
from uuid import UUID

from config.api.values import UUID_TEXT
from exports.errors import BundleNotFound, BundleTooLarge, NotCanonical, SigningKeyUnavailable
from exports.services import bagit, canonical, comparison, files, keys, sealing, zipfiles
from exports.services.bagit import Payload
from exports.services.sealing import Seal, SealedBundle

# The largest document twice (in the bag, and attached to its PDF), and room for the pages.
MAX_FILE_BYTES = 2 * canonical.MAX_BYTES + 64 * 1024 * 1024

_SEAL_MEMBERS = ("algorithm", "key_id", "sha256", "signature")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. ``detail`` says what was found, in one sentence."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Subject:
    """What a signature that holds says the file is."""

    bundle_id: str
    bundle_type: str
    tenant_id: str
    incident_id: str
    generated_at: str
    key_id: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Verification:
    """The checks in the order they were made; they end with the first that does not hold.

    ``subject`` is known once the signature over the bundle holds, whatever comes after.
    """

    kind: Literal["json", "zip"] | None
    checks: tuple[Check, ...]
    subject: Subject | None

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)

    @property
    def failure(self) -> Check | None:
        """The first thing that does not hold."""
        return next((check for check in self.checks if not check.ok), None)


def verify(data: bytes, *, public_keys: Mapping[str, str]) -> Verification:
    """Whether ``data`` is a bundle, unchanged, sealed by one of ``public_keys`` (PEM by key id).

    Never raises for what is in ``data``.
    """
    kind = _kind(data)
    report = _Report(public_keys)
    try:
        if len(data) > MAX_FILE_BYTES:
            report.fail("file", f"The file is larger than {MAX_FILE_BYTES:,} bytes.")
        if kind == "json":
            _verify_json(data, report)
        elif kind == "zip":
            _verify_zip(data, report)
        else:
            report.fail("file", "The file begins like neither a JSON document nor a ZIP (byte 0).")
    except _Stop:
        pass
    return Verification(kind, tuple(report.checks), report.subject)


def verify_for(tenant_id: str, data: bytes) -> Verification:
    """As :func:`verify`, against the installed keys, for somebody who may only know of one
    tenant's bundles: another tenant's does not hold, and nothing is said of it.

    What was changed in a JSON document is named by comparing it with the export that is kept.
    """
    found = verify(data, public_keys=keys.installed())
    if found.kind == "json" and found.failure is not None and found.failure.name == "hash":
        return _compared(tenant_id, data, found)
    if found.subject is None or found.subject.tenant_id == tenant_id:
        return found
    foreign = Check("tenant", False, "The bundle is not one of this tenant's.")
    return Verification(found.kind, (*found.checks, foreign), None)


def _compared(tenant_id: str, data: bytes, found: Verification) -> Verification:
    """The failure with the place that differs from the tenant's export of the same id, if any."""
    *held, failure = found.checks
    given = json.loads(data)["bundle"]
    identifier = given.get("id")
    if not isinstance(identifier, str) or not UUID_TEXT.fullmatch(identifier):
        return found
    try:
        kept = files.read("document", tenant_id=tenant_id, bundle_id=UUID(identifier))
    except BundleNotFound:
        return found
    place = comparison.first_difference(given, json.loads(kept))
    if place is None:
        return found
    said = f"{failure.detail} It differs from the export that is kept here first at {place}."
    return Verification(found.kind, (*held, Check(failure.name, False, said)), None)


def _kind(data: bytes) -> Literal["json", "zip"] | None:
    if data[:1] == b"{":
        return "json"
    return "zip" if data[:4] == zipfiles.LOCAL_HEADER else None


class _Stop(Exception):
    """A check did not hold; the rest would say nothing more."""


@dataclass(slots=True)
class _Report:
    public_keys: Mapping[str, str]
    checks: list[Check] = field(default_factory=list)
    subject: Subject | None = None

    def hold(self, name: str, detail: str) -> None:
        self.checks.append(Check(name, True, detail))

    def fail(self, name: str, detail: str) -> NoReturn:
        """Record what does not hold, and end the checking."""
        self.checks.append(Check(name, False, detail))
        raise _Stop

    def trusted(self, name: str) -> str:
        """The trusted key of this id, as PEM."""
        pem = self.public_keys.get(name)
        if pem is None:
            self.fail("key", f"The bundle names key {name!r}, which is not among the trusted keys.")
        return pem


def _verify_json(data: bytes, report: _Report) -> None:
    parsed = _parse(data, report, what="The file")
    if not isinstance(parsed, dict) or sorted(parsed) != ["bundle", "seal"]:
        report.fail("format", "The file is not an object of exactly bundle and seal.")
    bundle, stated = parsed["bundle"], parsed["seal"]
    if not isinstance(bundle, dict):
        report.fail("format", "/bundle is not an object.")
    if not isinstance(stated, dict) or sorted(stated) != sorted(_SEAL_MEMBERS):
        report.fail("format", f"/seal is not an object of exactly {', '.join(_SEAL_MEMBERS)}.")
    for name in _SEAL_MEMBERS:
        if not isinstance(stated[name], str):
            report.fail("format", f"/seal/{name} is not a string.")
    report.hold("format", "The file is a JSON document of a bundle and its seal.")

    if stated["algorithm"] != keys.ALGORITHM:
        report.fail("format", f"/seal/algorithm is {stated['algorithm']!r}, not {keys.ALGORITHM}.")
    signature = _base64(stated["signature"])
    if signature is None:
        report.fail("format", "/seal/signature is not the base64 form of 64 bytes.")
    document = _canonical(bundle, report, what="/bundle")
    seal = Seal(stated["sha256"], signature, stated["key_id"])
    rendered = sealing.json_document(SealedBundle(document, seal))
    if rendered != data:
        report.fail(
            "canonical form",
            f"Byte {_first_difference(data, rendered)} is not as RFC 8785 writes the document.",
        )
    report.hold("canonical form", "The document is written as RFC 8785 says.")

    pem = report.trusted(seal.key_id)
    report.hold("key", f"Key {seal.key_id} is trusted.")
    actual = hashlib.sha256(document).hexdigest()
    key = keys.parse_public(pem)
    signed = keys.holds(key, signature=signature, data=document)
    if actual != seal.sha256:
        where = "/seal/sha256 was changed" if signed else "/bundle or its seal was changed"
        report.fail("hash", f"{where}: SHA-256 of the bundle is {actual}, not {seal.sha256}.")
    report.hold("hash", f"SHA-256 of the bundle is {actual}.")
    if not signed:
        report.fail("signature", f"/seal/signature is not one of key {seal.key_id} over /bundle.")
    report.hold("signature", f"Key {seal.key_id} signed the bundle.")
    report.subject = _subject(bundle, report, key_id=seal.key_id, sha256=actual)


def _verify_zip(data: bytes, report: _Report) -> None:
    try:
        members = zipfiles.unpack(data, names=bagit.MEMBERS)
    except zipfiles.NotAsPacked as error:
        report.fail("container", str(error))
    report.hold("container", f"The ZIP holds the {len(members)} members of a bag and no other.")

    _check_manifest(bagit.TAG_MANIFEST, bagit.TAGS, members, report)
    _check_manifest(bagit.MANIFEST, bagit.PAYLOAD, members, report)
    report.hold("manifests", "Every member has the SHA-256 that its manifest states.")

    document = members[bagit.DOCUMENT]
    bundle = _parse(document, report, what=bagit.DOCUMENT)
    if not isinstance(bundle, dict):
        report.fail("format", f"{bagit.DOCUMENT} is not an object.")
    rendered = _canonical(bundle, report, what=bagit.DOCUMENT)
    if rendered != document:
        offset = _first_difference(document, rendered)
        report.fail(
            "canonical form", f"{bagit.DOCUMENT}: byte {offset} is not as RFC 8785 writes it."
        )
    report.hold("canonical form", f"{bagit.DOCUMENT} is written as RFC 8785 says.")

    try:
        inside = keys.parse_public(members[bagit.PUBLIC_KEY])
    except SigningKeyUnavailable as error:
        report.fail("key", f"{bagit.PUBLIC_KEY}: {error.detail}")
    key_id = keys.key_id(inside)
    key = keys.parse_public(report.trusted(key_id))
    if members[bagit.PUBLIC_KEY] != keys.public_pem(key).encode():
        report.fail("key", f"{bagit.PUBLIC_KEY} is not written as the trusted key {key_id} is.")
    report.hold("key", f"Key {key_id} is trusted.")

    if not keys.holds(key, signature=members[bagit.SIGNATURE], data=document):
        report.fail(
            "signature", f"{bagit.SIGNATURE} is not one of key {key_id} over {bagit.DOCUMENT}."
        )
    sha256 = hashlib.sha256(document).hexdigest()
    report.hold("signature", f"Key {key_id} signed {bagit.DOCUMENT}, SHA-256 {sha256}.")
    report.subject = _subject(bundle, report, key_id=key_id, sha256=sha256)

    over_manifest = _manifest_signature(members[bagit.INFO])
    if over_manifest is None:
        report.fail("manifest signature", f"{bagit.INFO} has no {bagit.MANIFEST_SIGNATURE}.")
    if not keys.holds(key, signature=over_manifest, data=members[bagit.MANIFEST]):
        report.fail(
            "manifest signature",
            f"{bagit.MANIFEST_SIGNATURE} in {bagit.INFO} is not one of key {key_id} over "
            f"{bagit.MANIFEST}.",
        )
    report.hold("manifest signature", f"Key {key_id} signed {bagit.MANIFEST}, and so the PDF.")
    _check_rebuilt(data, members, bundle, over_manifest, report)


def _check_manifest(
    manifest: str, listed: tuple[str, ...], members: Mapping[str, bytes], report: _Report
) -> None:
    """Hold a manifest against the members it lists, line by line."""
    stated = members[manifest].split(b"\n")
    for number, name in enumerate(sorted(listed), start=1):
        actual = hashlib.sha256(members[name]).hexdigest()
        line = stated[number - 1] if number <= len(stated) else b""
        if line == f"{actual}  {name}".encode():
            continue
        said, _, file = line.decode("utf-8", "backslashreplace").partition("  ")
        if file == name:
            report.fail(
                "manifests", f"{name}: SHA-256 is {actual}; {manifest} line {number} says {said}."
            )
        report.fail("manifests", f"{manifest} line {number} does not list {name}.")
    if stated[len(listed) :] != [b""]:
        report.fail("manifests", f"{manifest} goes on after line {len(listed)}.")


def _check_rebuilt(
    data: bytes,
    members: Mapping[str, bytes],
    bundle: Mapping[str, Any],
    manifest_signature: bytes,
    report: _Report,
) -> None:
    """Compare the file with the one that Firebreak makes of these parts."""
    payload = Payload(
        document=members[bagit.DOCUMENT],
        pdf=members[bagit.PDF],
        signature=members[bagit.SIGNATURE],
        public_pem=members[bagit.PUBLIC_KEY],
    )
    tags = bagit.tags(payload, bundle=bundle, manifest_signature=manifest_signature)
    for name, content in tags.items():
        if members[name] != content:
            line = content[: _first_difference(members[name], content)].count(b"\n") + 1
            report.fail("bag", f"{name} line {line} is not what the bundle says.")
    report.hold("bag", "The descriptions of the bag are those of the bundle.")
    rebuilt = bagit.build(payload, manifest_signature=manifest_signature)
    if rebuilt != data:
        report.fail("file", _where(data, rebuilt))
    report.hold("file", "The ZIP is, to the byte, the one that was exported.")


def _where(data: bytes, rebuilt: bytes) -> str:
    offset = _first_difference(data, rebuilt)
    name = zipfiles.member_at(rebuilt, offset, names=bagit.MEMBERS)
    part = f"the header of {name}" if name else "the central directory"
    return f"Byte {offset} of the ZIP, in {part}, is not as it was exported."


def _parse(data: bytes, report: _Report, *, what: str) -> Any:
    try:
        return json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        report.fail("format", f"{what} is not UTF-8 at byte {error.start}.")
    except json.JSONDecodeError as error:
        report.fail(
            "format",
            f"{what} is not JSON: {error.msg} at line {error.lineno} column {error.colno}.",
        )
    except RecursionError:
        report.fail("format", f"{what} is nested too deeply.")
    except ValueError as error:
        report.fail("format", f"{what} is not JSON of a bundle: {error}.")


def _canonical(bundle: dict[str, Any], report: _Report, *, what: str) -> bytes:
    try:
        return canonical.encode(bundle)
    except (NotCanonical, BundleTooLarge) as error:
        report.fail("canonical form", f"{what} has no canonical form: {error.detail}.")


def _subject(bundle: Mapping[str, Any], report: _Report, *, key_id: str, sha256: str) -> Subject:
    try:
        subject = Subject(
            bundle_id=bundle["id"],
            bundle_type=bundle["bundle_type"],
            tenant_id=bundle["tenant"]["id"],
            incident_id=bundle["incident"]["id"],
            generated_at=bundle["generated_at"],
            key_id=key_id,
            sha256=sha256,
        )
        bagit.created(bundle)
        whole = all(isinstance(part, str) for part in astuple(subject))
    except (KeyError, TypeError, ValueError, OverflowError):
        whole = False
    if not whole:
        # The key signed it, but no export made it.
        report.fail("format", "What was signed is not a bundle.")
    return subject


def _manifest_signature(info: bytes) -> bytes | None:
    prefix = f"{bagit.MANIFEST_SIGNATURE}: ".encode()
    for line in info.split(b"\n"):
        if line.startswith(prefix):
            return _base64(line.removeprefix(prefix).decode("latin-1"))
    return None


def _base64(text: str) -> bytes | None:
    """The 64 bytes that ``text`` stands for, if it is the one way to write them."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return None
    if len(decoded) != 64 or base64.b64encode(decoded).decode() != text:
        return None
    return decoded


def _first_difference(one: bytes, other: bytes) -> int:
    """The offset of the first byte in which two strings differ (the shorter's length if none)."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
