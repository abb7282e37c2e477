"""The mail server as we use it: encrypted, signed in, and what its refusals become."""

import ssl
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.integrations.http import ServiceUnavailable
from services.integrations.mail import MailServer
from tests.certificates import make_certificate
from tests.mail_server import Mailbox, mail_server

LOGIN = ("billing", "right one")


@pytest.fixture
def files(tmp_path: Path) -> ssl.SSLContext:
    made = make_certificate(tmp_path, "localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.certificate, made.key)
    return context


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: ssl.SSLContext) -> None:
    """Trust the test's own certificate, as a machine trusts those of its administrator."""
    del files
    monkeypatch.setenv("SSL_CERT_FILE", str(next(tmp_path.glob("*cert*"))))


@pytest.fixture
def secure(files: ssl.SSLContext) -> Iterator[Mailbox]:
    with mail_server(security=files, login=LOGIN) as box:
        yield box


def a_mail() -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = "Bill"
    mail.set_content("A line\n.\nand one after a dot")
    return mail


def send(server: MailServer) -> None:
    server.send(a_mail(), sender="a@mill.example", recipient="b@post.example")


@pytest.mark.usefixtures("trusted")
def test_it_signs_in_over_starttls_and_a_line_with_a_dot_ends_nothing(secure: Mailbox) -> None:
    server = MailServer("localhost", secure.port, user=LOGIN[0], password=SecretStr(LOGIN[1]))
    send(server)
    assert secure.mails[0].get_content().splitlines() == ["A line", ".", "and one after a dot"]
    assert server.check() == "localhost takes mail."
    assert len(secure.mails) == 1


@pytest.mark.usefixtures("trusted")
def test_a_wrong_password_lets_mail_wait(secure: Mailbox) -> None:
    server = MailServer("localhost", secure.port, user=LOGIN[0], password=SecretStr("wrong"))
    # Python tries each way to sign in that the server offers; this one then hangs up.
    with pytest.raises(ServiceUnavailable, match=r"^E-mail: the server (said 535|hung up)\.$"):
        send(server)
    assert not secure.mails


def test_a_certificate_that_nobody_trusts_gets_neither_password_nor_mail(secure: Mailbox) -> None:
    server = MailServer("localhost", secure.port, user=LOGIN[0], password=SecretStr(LOGIN[1]))
    with pytest.raises(ServiceUnavailable, match="SSLCertVerificationError"):
        send(server)
    assert not secure.mails


def test_a_server_without_encryption_is_not_used_where_it_is_wanted() -> None:
    with mail_server() as box:
        with pytest.raises(ServiceUnavailable, match="SMTPNotSupportedError"):
            send(MailServer("127.0.0.1", box.port))
        assert not box.mails
