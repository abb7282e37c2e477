"""A certificate's files are looked at before anybody is let in."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.integrations.failures import FinalFailure
from services.web.certificate import CertificateFiles, sentence_on_end
from services.web.listening import Reach, RefusedToListen
from services.web.reach_check import ReachCheck
from tests.certificates import make_certificate

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def files(tmp_path: Path) -> CertificateFiles:
    return make_certificate(tmp_path, "billing.example.org", ends_at=NOW + 60 * DAY)


def test_good_files_pass_and_say_until_when(files: CertificateFiles) -> None:
    files.check()
    assert files.ends_at() == NOW + 60 * DAY


def test_the_group_may_read_the_key_and_others_may_not(files: CertificateFiles) -> None:
    files.key.chmod(0o640)
    files.check()
    files.key.chmod(0o644)
    with pytest.raises(RefusedToListen, match="chmod o= "):
        files.check()


def test_what_is_missing_or_no_pem_is_named(files: CertificateFiles, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    for wrong in (CertificateFiles(other, files.key), CertificateFiles(files.certificate, other)):
        with pytest.raises(RefusedToListen, match=r"other\.pem cannot be read: No such file"):
            wrong.check()
    other.write_text("no PEM")
    other.chmod(0o600)
    for wrong in (CertificateFiles(other, files.key), CertificateFiles(files.certificate, other)):
        with pytest.raises(RefusedToListen, match=r"other\.pem is no PEM"):
            wrong.check()


def test_the_key_of_another_certificate_is_refused(files: CertificateFiles, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    other = make_certificate(folder, "billing.example.org", ends_at=NOW)
    with pytest.raises(RefusedToListen, match="does not belong"):
        CertificateFiles(files.certificate, other.key).check()


def test_the_sentence_on_its_end() -> None:
    end = NOW + 30 * DAY
    assert sentence_on_end(end, now=NOW) == "The certificate ends on 2026-03-31 12:00 UTC."
    assert "renew it" in sentence_on_end(end, now=end - 13 * DAY)
    assert "browsers refuse it" in sentence_on_end(end, now=end)


def test_the_services_page_warns_of_a_certificate_that_ends(files: CertificateFiles) -> None:
    def checked(now: datetime) -> str:
        reach = Reach(beyond=True, https="certificate")
        return ReachCheck(reach, "https://a.example", None, files, lambda: now).check()

    assert checked(NOW).startswith("https://a.example, with HTTPS by a certificate of its own.")
    with pytest.raises(FinalFailure, match="renew it"):
        checked(NOW + 50 * DAY)
    files.certificate.unlink()
    with pytest.raises(FinalFailure, match="cannot be read"):
        checked(NOW)


def test_the_services_page_names_the_proxy() -> None:
    reach = Reach(beyond=True, https="proxy")
    check = ReachCheck(reach, "https://a.example", "127.0.0.1", None, lambda: NOW)
    assert check.configured
    assert check.check() == "https://a.example, with HTTPS by the proxy 127.0.0.1."
    assert not ReachCheck(Reach(), "http://localhost", None, None, lambda: NOW).configured
