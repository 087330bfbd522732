"""Signing keys: where the private half comes from, and which public halves are trusted.

The private half comes from SIGNING_KEY_FILE or SIGNING_KEY (PEM). With neither, the first export
makes a key in ``DATA_DIR/keys/<key_id>.pem``, readable by its owner alone, and says so. Every
public half stays in the database after its key is retired, so that old bundles still verify.
"""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from django.conf import settings
from django.db import connection, transaction

from config import clock
from config.actors import Actor
from config.operations import audit
from exports.errors import SigningKeyUnavailable
from exports.models import SigningKey

ALGORITHM: Final = "Ed25519"
# Any number that no other part of the house locks on: "fire" and "key" in ASCII.
_LOCK = 0x66697265_6B6579

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A key that can sign. ``notice`` tells a person that it was just made, and where."""

    key_id: str
    public_pem: str
    private: Ed25519PrivateKey = field(repr=False)
    notice: str | None = None

    def sign(self, data: bytes) -> bytes:
        """The 64-byte Ed25519 signature over ``data``."""
        return self.private.sign(data)


def current() -> KeyPair:
    """The key that new bundles are signed with, made now if none was ever configured or made.

    Raises SigningKeyUnavailable when the configured key cannot be read, is not an Ed25519 key or
    is retired, and when the key in force has its private half on another machine.
    """
    pair = configured()
    if pair is not None:
        return _register(pair)
    row = SigningKey.objects.filter(retired_at=None).first()
    if row is not None:
        return _stored(row)
    with transaction.atomic():
        _lock()
        row = SigningKey.objects.filter(retired_at=None).first()
        return _stored(row) if row is not None else _adopt() or _make()


def rotate(*, by: Actor) -> KeyPair:
    """Put a new key in force and retire all others; their public halves stay.

    A configured key is rotated by configuring the new one first. Raises SigningKeyUnavailable
    when the configured key is in force already.
    """
    pair = configured()
    with transaction.atomic():
        _lock()
        if pair is None:
            pair = _make()
        else:
            in_force = SigningKey.objects.filter(retired_at=None).values_list("key_id", flat=True)
            if list(in_force) == [pair.key_id]:
                raise SigningKeyUnavailable(
                    f"Key {pair.key_id} is configured and in force already; set SIGNING_KEY_FILE "
                    "or SIGNING_KEY to the new key first."
                )
            pair = _register(pair)
        others = SigningKey.objects.filter(retired_at=None).exclude(key_id=pair.key_id)
        retired = sorted(others.values_list("key_id", flat=True))
        others.update(retired_at=clock.now())
        audit.record(
            "signing key rotated", by=by, target=f"key {pair.key_id}", data={"retired": retired}
        )
    return pair


def installed() -> dict[str, str]:
    """Every public key that bundles of this installation may be signed with, as PEM by id."""
    return dict(SigningKey.objects.values_list("key_id", "public_pem"))


def configured() -> KeyPair | None:
    """The key that the settings name, or None; needs no database.

    Raises SigningKeyUnavailable when it is unreadable or of another kind.
    """
    path, text = settings.SIGNING_KEY_FILE, settings.SIGNING_KEY
    if path and text:
        raise SigningKeyUnavailable("SIGNING_KEY_FILE and SIGNING_KEY are both set; set one.")
    if path:
        return _load(Path(path), said="SIGNING_KEY_FILE")
    if text:
        # Many platforms cannot put a line break into the environment.
        return _parse_private(text.replace("\\n", "\n").encode(), said="SIGNING_KEY")
    return None


def public_pem(key: Ed25519PublicKey) -> str:
    """The key as PEM SubjectPublicKeyInfo, the one form that is stored and put into bags."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def key_id(key: Ed25519PublicKey) -> str:
    """The name of the key: the first 16 digits of its fingerprint."""
    return fingerprint(key)[:16]


def fingerprint(key: Ed25519PublicKey) -> str:
    """SHA-256 over the key's DER SubjectPublicKeyInfo, in hexadecimal."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def parse_public(pem: str | bytes) -> Ed25519PublicKey:
    """The Ed25519 public key in a PEM file. Raises SigningKeyUnavailable when there is none."""
    data = pem.encode() if isinstance(pem, str) else pem
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SigningKeyUnavailable("This is not a public key in PEM form.") from error
    if not isinstance(key, Ed25519PublicKey):
        raise SigningKeyUnavailable("This is not an Ed25519 public key.")
    return key


def holds(key: Ed25519PublicKey, *, signature: bytes, data: bytes) -> bool:
    """Whether ``signature`` over ``data`` was made with the private half of ``key``."""
    try:
        key.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def _directory() -> Path:
    return Path(settings.DATA_DIR) / "keys"


def _lock() -> None:
    """Wait until no other process makes or retires keys, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def _register(pair: KeyPair) -> KeyPair:
    row, _ = SigningKey.objects.get_or_create(
        key_id=pair.key_id, defaults={"public_pem": pair.public_pem, "created_at": clock.now()}
    )
    if row.retired_at is not None:
        raise SigningKeyUnavailable(
            f"The configured signing key {pair.key_id} was retired at {row.retired_at:%FT%TZ}."
        )
    return pair


def _stored(row: SigningKey) -> KeyPair:
    path = _directory() / f"{row.key_id}.pem"
    if not path.exists():
        raise SigningKeyUnavailable(
            f"The private half of signing key {row.key_id} is not at {path}: set SIGNING_KEY_FILE, "
            "or run rotate_signing_key to put a new key in force."
        )
    pair = _load(path, said=str(path))
    if pair.key_id != row.key_id:
        raise SigningKeyUnavailable(f"{path} holds another key, {pair.key_id}.")
    return pair


def _adopt() -> KeyPair | None:
    """The newest key in the directory, when the database knows none of them.

    So it is after the transaction that made the first key was rolled back, or when the database
    was made anew. Older files are registered as retired: bundles may be signed with them.
    """
    paths = sorted(_directory().glob("*.pem"), key=lambda path: path.stat().st_mtime_ns)
    known = installed()
    pairs = [_load(path, said=str(path)) for path in paths if path.stem not in known]
    if not pairs:
        return None
    now = clock.now()
    for pair in pairs[:-1]:
        SigningKey.objects.create(
            key_id=pair.key_id, public_pem=pair.public_pem, created_at=now, retired_at=now
        )
    return _register(pairs[-1])


def _make() -> KeyPair:
    private = Ed25519PrivateKey.generate()
    public = private.public_key()
    name = key_id(public)
    path = _directory() / f"{name}.pem"
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(path, pem)
    except OSError as error:
        raise SigningKeyUnavailable(f"No signing key can be kept at {path}: {error}.") from error
    notice = (
        f"A signing key was made: {name}, private half in {path}. Keep a copy of it in a safe "
        "place, or set SIGNING_KEY_FILE."
    )
    logger.warning(notice)
    return _register(KeyPair(name, public_pem(public), private, notice))


def _write(path: Path, content: bytes) -> None:
    """Put a private file on disk whole or not at all."""
    partial = path.with_suffix(".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    partial.rename(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _load(path: Path, *, said: str) -> KeyPair:
    try:
        return _parse_private(path.read_bytes(), said=said)
    except OSError as error:
        raise SigningKeyUnavailable(f"{said} cannot be read: {error}.") from error


def _parse_private(pem: bytes, *, said: str) -> KeyPair:
    try:
        private = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SigningKeyUnavailable(f"{said} is not an unencrypted private key in PEM.") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise SigningKeyUnavailable(f"{said} is not an Ed25519 key.")
    public = private.public_key()
    return KeyPair(key_id(public), public_pem(public), private)
