from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from django.core.management import CommandError, call_command
from django.db import transaction
from pytest_django import Settings

from config import clock
from config.actors import COMMAND_LINE
from exports.errors import SigningKeyUnavailable
from exports.models import SigningKey
from exports.services import keys
from tests.factories.keys import key_pair

pytestmark = pytest.mark.django_db


def pem(
    private: Ed25519PrivateKey | rsa.RSAPrivateKey,
    encryption: KeySerializationEncryption | None = None,
) -> str:
    form = encryption or NoEncryption()
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, form).decode()


def test_current_makes_a_key_once_and_says_so(
    data_directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = keys.current()
    assert first.notice is not None
    assert first.key_id in first.notice
    assert first.notice in caplog.text
    path = data_directory / "keys" / f"{first.key_id}.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]

    again = keys.current()
    assert (again.key_id, again.notice) == (first.key_id, None)
    assert again.sign(b"x") == first.sign(b"x")
    assert keys.installed() == {first.key_id: first.public_pem}


def test_key_id_begins_the_fingerprint_of_the_der_form(tmp_path: Path) -> None:
    pair = key_pair(7)
    (tmp_path / "public.pem").write_text(pair.public_pem)
    der = os.popen(f"openssl pkey -pubin -in {tmp_path}/public.pem -outform DER | sha256sum").read()
    assert der[:16] == pair.key_id
    assert keys.fingerprint(pair.private.public_key()) == der[:64]


def test_current_takes_the_key_from_a_file(settings: Settings, tmp_path: Path) -> None:
    pair = key_pair(9)
    (tmp_path / "key.pem").write_text(pem(pair.private))
    settings.SIGNING_KEY_FILE = str(tmp_path / "key.pem")
    assert keys.current().key_id == pair.key_id
    assert keys.installed() == {pair.key_id: pair.public_pem}
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("line_break", ["\n", "\\n"])
def test_current_takes_the_key_from_the_environment(settings: Settings, line_break: str) -> None:
    pair = key_pair(9)
    settings.SIGNING_KEY = pem(pair.private).replace("\n", line_break)
    assert keys.current().key_id == pair.key_id


def unusable_keys() -> dict[str, str]:
    private = key_pair(9).private
    return {
        "private key in PEM": "not a key",
        "PEM": key_pair(9).public_pem,
        "unencrypted": pem(private, BestAvailableEncryption(b"secret")),
        "Ed25519": pem(rsa.generate_private_key(65537, 2048)),
    }


@pytest.mark.parametrize("why", unusable_keys())
def test_current_refuses_a_configured_key_that_cannot_sign(settings: Settings, why: str) -> None:
    settings.SIGNING_KEY = unusable_keys()[why]
    with pytest.raises(SigningKeyUnavailable, match=why) as refusal:
        keys.current()
    assert settings.SIGNING_KEY not in refusal.value.detail


def test_current_refuses_a_missing_file_and_two_sources(settings: Settings) -> None:
    settings.SIGNING_KEY_FILE = "/nowhere/key.pem"
    with pytest.raises(SigningKeyUnavailable, match="SIGNING_KEY_FILE cannot be read"):
        keys.current()
    settings.SIGNING_KEY = pem(key_pair(9).private)
    with pytest.raises(SigningKeyUnavailable, match="both set"):
        keys.current()


def test_current_refuses_a_key_whose_private_half_is_elsewhere() -> None:
    pair = key_pair(9)
    SigningKey.objects.create(key_id=pair.key_id, public_pem=pair.public_pem)
    with pytest.raises(SigningKeyUnavailable, match="rotate_signing_key"):
        keys.current()


def test_current_refuses_a_file_that_holds_another_key(data_directory: Path) -> None:
    made = keys.current()
    (data_directory / "keys" / f"{made.key_id}.pem").write_text(pem(key_pair(9).private))
    with pytest.raises(SigningKeyUnavailable, match="another key"):
        keys.current()


def test_current_refuses_a_configured_key_that_is_retired(settings: Settings) -> None:
    pair = key_pair(9)
    SigningKey.objects.create(
        key_id=pair.key_id, public_pem=pair.public_pem, retired_at=clock.now()
    )
    settings.SIGNING_KEY = pem(pair.private)
    with pytest.raises(SigningKeyUnavailable, match="was retired at"):
        keys.current()


def test_current_refuses_when_no_key_can_be_kept(data_directory: Path) -> None:
    data_directory.write_text("a file where the directory should be")
    with pytest.raises(SigningKeyUnavailable, match="No signing key can be kept"):
        keys.current()


def test_current_adopts_the_key_of_a_transaction_that_was_rolled_back() -> None:
    with transaction.atomic():
        made = keys.current()
        transaction.set_rollback(True)
    assert not SigningKey.objects.exists()
    assert keys.current().key_id == made.key_id


def test_current_adopts_the_newest_key_of_a_database_made_anew(data_directory: Path) -> None:
    with transaction.atomic():
        old = keys.current()
        new = keys.rotate(by=COMMAND_LINE)
        transaction.set_rollback(True)
    os.utime(data_directory / "keys" / f"{old.key_id}.pem", (1, 1))
    assert keys.current().key_id == new.key_id
    assert set(keys.installed()) == {old.key_id, new.key_id}
    assert SigningKey.objects.get(retired_at=None).key_id == new.key_id


def test_rotate_keeps_the_old_public_key() -> None:
    old = keys.current()
    new = keys.rotate(by=COMMAND_LINE)
    assert new.key_id != old.key_id
    assert keys.current().key_id == new.key_id
    assert keys.installed() == {old.key_id: old.public_pem, new.key_id: new.public_pem}
    assert SigningKey.objects.get(key_id=old.key_id).retired_at is not None
    retired_at = SigningKey.objects.get(key_id=old.key_id).retired_at
    keys.rotate(by=COMMAND_LINE)
    assert SigningKey.objects.get(key_id=old.key_id).retired_at == retired_at


def test_rotate_puts_a_newly_configured_key_in_force(settings: Settings) -> None:
    old = keys.current()
    settings.SIGNING_KEY = pem(key_pair(9).private)
    assert keys.rotate(by=COMMAND_LINE).key_id == key_pair(9).key_id
    assert SigningKey.objects.get(retired_at=None).key_id == key_pair(9).key_id
    assert old.key_id in keys.installed()
    with pytest.raises(SigningKeyUnavailable, match="in force already"):
        keys.rotate(by=COMMAND_LINE)


def test_rotate_signing_key_prints_the_key_id(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("rotate_signing_key")
    said = capsys.readouterr()
    assert said.out == f"{keys.current().key_id}\n"
    assert "A signing key was made" in said.err


def test_rotate_signing_key_gives_a_reason(settings: Settings) -> None:
    settings.SIGNING_KEY = "nonsense"
    with pytest.raises(CommandError, match="SIGNING_KEY is not an unencrypted private key"):
        call_command("rotate_signing_key")


@pytest.mark.parametrize("bad", ["", "text", pem(key_pair(1).private)])
def test_parse_public_refuses_what_is_no_public_key(bad: str) -> None:
    with pytest.raises(SigningKeyUnavailable, match="not a public key"):
        keys.parse_public(bad)


def test_installed_holds_each_key_by_its_own_fingerprint() -> None:
    keys.current()
    keys.rotate(by=COMMAND_LINE)
    for name, text in keys.installed().items():
        assert name == keys.key_id(keys.parse_public(text))
