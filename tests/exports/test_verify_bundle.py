from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from exports.models import SigningKey
from exports.services import bagit, sealing
from exports.services.bagit import Payload
from exports.services.keys import KeyPair
from tests.factories import bundles
from tests.servers import without_database


@pytest.fixture
def files(key: KeyPair, tmp_path: Path) -> Path:
    """A directory with bundle.json, bundle.zip and the public key of both."""
    sealed = sealing.seal(bundles.evidence(), key=key)
    payload = Payload(sealed.document, b"%PDF", sealed.seal.signature, key.public_pem.encode())
    signature = bagit.sign_manifest(payload, key=key)
    (tmp_path / "bundle.json").write_bytes(sealing.json_document(sealed))
    (tmp_path / "bundle.zip").write_bytes(bagit.build(payload, manifest_signature=signature))
    (tmp_path / "trusted.pem").write_text(key.public_pem)
    return tmp_path


@pytest.mark.parametrize("name", ["bundle.json", "bundle.zip"])
def test_verify_bundle_needs_no_database_when_a_key_is_given(
    files: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # Without the mark of the database, any query would fail this test.
    call_command("verify_bundle", str(files / name), public_key=[str(files / "trusted.pem")])
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("ok  ") for line in lines[:-1])
    assert lines[-1].startswith(f"evidence bundle {bundles.identifier(1)} of incident")
    assert lines[-1].endswith("verified")


@pytest.mark.django_db
def test_verify_bundle_trusts_the_installed_keys(files: Path, key: KeyPair) -> None:
    with pytest.raises(CommandError, match="not among the trusted keys"):
        call_command("verify_bundle", str(files / "bundle.zip"))
    SigningKey.objects.create(key_id=key.key_id, public_pem=key.public_pem)
    call_command("verify_bundle", str(files / "bundle.zip"))


def test_verify_bundle_gives_a_reason_without_a_database(files: Path) -> None:
    command = [sys.executable, "manage.py", "verify_bundle", str(files / "bundle.json")]
    environment = without_database()
    root = Path(__file__).parents[2]
    given = ["--public-key", str(files / "trusted.pem")]
    fine = subprocess.run([*command, *given], cwd=root, env=environment, capture_output=True)
    assert fine.returncode == 0, fine.stderr
    without = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert without.returncode == 1
    assert without.stderr.startswith("CommandError: The installed keys cannot be read")
    assert without.stderr.count("\n") == 1


@pytest.mark.parametrize("given", [["--public-key", "{}"], ["--public-key={}"]])
def test_verify_bundle_starts_no_database_when_a_key_is_given(
    files: Path, given: list[str]
) -> None:
    key = files / "trusted.pem"
    arguments = ["manage.py", "verify_bundle", str(files / "bundle.zip")]
    arguments += [part.format(key) for part in given]
    # Whoever wants the embedded database fails.
    script = (
        "import runpy, sys; sys.modules['config.database.embedded'] = None; "
        f"sys.argv = {arguments!r}; "
        "runpy.run_path('manage.py', run_name='__main__')"
    )
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    found = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines()[-1].endswith("verified")


def test_verify_bundle_reads_standard_input(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("bundle.json", "bundle.zip"):
        content = (files / name).read_bytes()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        call_command("verify_bundle", "-", public_key=[str(files / "trusted.pem")])


def test_verify_bundle_names_the_first_thing_that_does_not_hold(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = files / "bundle.json"
    path.write_bytes(path.read_bytes().replace(b'"severity":"high"', b'"severity":"low"'))
    with pytest.raises(CommandError, match=r"^hash: /bundle or its seal was changed"):
        call_command("verify_bundle", str(path), public_key=[str(files / "trusted.pem")])
    assert "verified" not in capsys.readouterr().out


def test_verify_bundle_gives_a_reason_for_what_it_cannot_read(files: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        call_command("verify_bundle", "nowhere.zip", public_key=[str(files / "trusted.pem")])
    path = str(files / "bundle.json")
    with pytest.raises(CommandError, match=r"bundle\.json: This is not a public key"):
        call_command("verify_bundle", path, public_key=[path])


def readme_lines() -> str:
    """The auditor's lines as the README has them."""
    readme = (Path(settings.BASE_DIR) / "README.md").read_text()
    chapter = readme.partition("## Checking a bundle without Firebreak")[2]
    return chapter.partition("```bash\n")[2].partition("```")[0]


@pytest.mark.parametrize(
    "changed", [None, "data/bundle.json", "data/bundle.pdf", "data/bundle.sig", "bag-info.txt"]
)
def test_a_bag_is_verified_by_the_lines_of_the_readme(files: Path, changed: str | None) -> None:
    lines = readme_lines()
    unpacking, *checks = lines.splitlines()
    assert len(checks) == 2
    (files / "trusted.pem").rename(files / "firebreak.pem")
    change = f"printf x >> {changed}" if changed else "true"
    script = "\n".join(["set -e", unpacking, change, *checks])
    found = subprocess.run(["bash", "-c", script], cwd=files, capture_output=True, text=True)
    if changed:
        assert found.returncode != 0
        assert f"{changed}: FAILED" in found.stdout
    else:
        assert found.returncode == 0, found.stderr
        assert found.stdout.count(": OK\n") == 7
        assert found.stdout.endswith("Signature Verified Successfully\n")


def test_a_bag_is_verified_with_openssl_and_sha256sum_alone(files: Path) -> None:
    # With no code of ours; then the same after a change.
    lines = """
        set -e
        unzip -q -o bundle.zip -d bag && cd bag
        sha256sum --check --strict --quiet manifest-sha256.txt tagmanifest-sha256.txt
        openssl pkeyutl -verify -rawin -pubin -inkey ../trusted.pem \
            -sigfile data/bundle.sig -in data/bundle.json
        sed -n 's/^Firebreak-Manifest-Signature: //p' bag-info.txt | base64 -d > ../manifest.sig
        openssl pkeyutl -verify -rawin -pubin -inkey ../trusted.pem \
            -sigfile ../manifest.sig -in manifest-sha256.txt
    """
    found = subprocess.run(["bash", "-c", lines], cwd=files, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert found.stdout.count("Signature Verified Successfully") == 2

    changed = lines.replace("sha256sum", "printf x >> data/bundle.json; sha256sum")
    found = subprocess.run(["bash", "-c", changed], cwd=files, capture_output=True, text=True)
    assert found.returncode != 0
    unsummed = changed.replace("--quiet", "--quiet --status || true #")
    found = subprocess.run(["bash", "-c", unsummed], cwd=files, capture_output=True, text=True)
    assert found.returncode != 0
    assert "Signature Verification Failure" in found.stdout + found.stderr
