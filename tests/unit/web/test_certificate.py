"""A certificate's files are looked at before anybody is let in."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from services.integrations.failures import FinalFailure
from services.web.certificate import CertificateFiles, Validity
from services.web.listening import Reach, RefusedToListen
from services.web.reach_check import ReachCheck
from tests.certificates import make_certificate
from tests.folders import enterable_folder

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
HOST = "billing.example.org"


@pytest.fixture
def files(tmp_path: Path) -> CertificateFiles:
    return make_certificate(tmp_path, HOST, ends_at=NOW + 60 * DAY)


@pytest.fixture
def others(tmp_path: Path) -> CertificateFiles:
    (tmp_path / "others").mkdir()
    return make_certificate(tmp_path / "others", HOST, ends_at=NOW)


def each_with(files: CertificateFiles, wrong: Path) -> list[CertificateFiles]:
    """The files with another certificate, and with another key."""
    return [replace(files, certificate=wrong), replace(files, key=wrong)]


def options(sentence: str) -> list[str]:
    return [
        option for option in ("CERT", "KEY") if f"STREAMLIT_SERVER_SSL_{option}_FILE" in sentence
    ]


def refusal(files: CertificateFiles) -> str:
    with pytest.raises(RefusedToListen) as refused:
        files.check()
    return str(refused.value)


def test_good_files_pass_and_say_until_when(files: CertificateFiles) -> None:
    files.check()
    assert files.validity().ends_at == NOW + 60 * DAY


def test_the_group_may_read_the_key_and_others_may_not(files: CertificateFiles) -> None:
    files.key.chmod(0o640)
    files.check()
    files.key.chmod(0o644)
    assert "chmod o= " in refusal(files)


def test_what_is_missing_is_named(files: CertificateFiles, tmp_path: Path) -> None:
    for absent in (tmp_path / "absent.pem", files.certificate / "absent.pem"):
        said = [refusal(wrong) for wrong in each_with(files, absent)]
        assert all(f"{absent} does not exist. Put it there" in sentence for sentence in said)
        assert [options(sentence) for sentence in said] == [["CERT"], ["KEY"]]


def test_a_folder_is_no_file(files: CertificateFiles, tmp_path: Path) -> None:
    said = [refusal(wrong) for wrong in each_with(files, tmp_path)]
    assert all(f"{tmp_path} is a folder." in sentence for sentence in said)
    assert [options(sentence) for sentence in said] == [["CERT"], ["KEY"]]


def test_what_the_user_may_not_read_is_named() -> None:
    for folder in enterable_folder():
        files = make_certificate(folder, HOST)
        for file in (files.key, files.certificate):
            file.chmod(0)
            with nobody():
                assert f"{file} may not be read by the user who runs the system." in refusal(files)


@contextmanager
def nobody() -> Iterator[None]:
    """Without root's right to read everything."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_what_is_no_pem_is_named(
    files: CertificateFiles, others: CertificateFiles, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    other.write_text("no PEM")
    other.chmod(0o600)
    for wrong in each_with(files, other):
        assert "other.pem is no PEM" in refusal(wrong)
    changed = CertificateFiles(certificate=files.key, key=files.certificate)
    assert f"The certificate {files.key} is no PEM certificate" in refusal(changed)
    assert "is no PEM key" in refusal(replace(files, key=others.certificate))


def test_the_key_of_another_certificate_is_refused(
    files: CertificateFiles, others: CertificateFiles
) -> None:
    assert "does not belong" in refusal(replace(files, key=others.key))


def test_an_encrypted_key_is_refused_with_the_way_to_write_it_plainly(
    files: CertificateFiles,
) -> None:
    key = load_pem_private_key(files.key.read_bytes(), password=None)
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        encrypted = key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"secret"))
        files.key.write_bytes(encrypted)
        assert (
            f"is encrypted, and nobody is there to type its passphrase. Write it without one: "
            f"`openssl pkey -in {files.key} -out " in refusal(files)
        )


def test_what_only_the_server_would_refuse_is_refused(
    files: CertificateFiles, tmp_path: Path
) -> None:
    (tmp_path / "weak").mkdir()
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505 - what is too weak
    weak = make_certificate(tmp_path / "weak", HOST, key=short)
    assert "The server cannot use the certificate" in refusal(weak)
    with files.certificate.open("a") as file:
        file.write("-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n")
    assert "The server cannot use the certificate" in refusal(files)


def test_a_certificate_that_ended_does_not_keep_the_system_from_starting(tmp_path: Path) -> None:
    files = make_certificate(tmp_path, HOST, ends_at=datetime.now(UTC) - DAY)
    files.check()
    assert not files.validity().is_safe(now=datetime.now(UTC))


def test_the_sentence_on_its_end() -> None:
    validity = Validity(begins_at=NOW, ends_at=NOW + 30 * DAY)
    said = validity.sentence(now=NOW)
    assert (said, validity.is_safe(now=NOW)) == (
        "The certificate ends on 2026-03-31 12:00 UTC.",
        True,
    )
    for now, words in {
        NOW - DAY: "begins on 2026-03-01 12:00 UTC: until then browsers refuse it",
        validity.ends_at - 13 * DAY: "ends on 2026-03-31 12:00 UTC: renew it",
        validity.ends_at: "ended on 2026-03-31 12:00 UTC: browsers refuse it",
    }.items():
        assert words in validity.sentence(now=now)
        assert not validity.is_safe(now=now)


def test_the_services_page_warns_of_a_certificate_that_ends(files: CertificateFiles) -> None:
    def checked(now: datetime) -> str:
        reach = Reach(beyond=True, https="certificate")
        return ReachCheck(reach, "https://a.example", None, files, lambda: now).check()

    assert checked(NOW).startswith("https://a.example, with HTTPS by a certificate of its own.")
    with pytest.raises(FinalFailure, match="renew it"):
        checked(NOW + 50 * DAY)
    files.certificate.unlink()
    with pytest.raises(FinalFailure, match="does not exist"):
        checked(NOW)


def test_the_services_page_names_the_proxy() -> None:
    reach = Reach(beyond=True, https="proxy")
    check = ReachCheck(reach, "https://a.example", "127.0.0.1", None, lambda: NOW)
    assert check.configured
    assert check.check() == "https://a.example, with HTTPS by the proxy 127.0.0.1."
    assert not ReachCheck(Reach(), "http://localhost", None, None, lambda: NOW).configured
