"""A real Dovecot on loopback with one mailbox."""

import grp
import imaplib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from pydantic import SecretStr

from services.integrations.mailbox import Mailbox
from services.web.certificate import CertificateFiles
from tests.ui.app_process import free_port

USER, PASSWORD = "bounces", "right-one"
_START_SECONDS: Final = 20
_FILE: Final = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
mail_location = maildir:{folder}/mail
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
disable_plaintext_auth = no
ssl = {ssl}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={folder}/home
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    address = 127.0.0.1
    port = {port}
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {tls_port}
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


@dataclass(frozen=True)
class ImapServer:
    """The server and what lies in its INBOX."""

    port: int
    tls_port: int
    folder: Path = Path()
    owner: tuple[int, int] = (0, 0)

    def deliver(self, mail: bytes) -> None:
        """Put a mail into the mailbox, as a server that takes it in does."""
        with self.signed_in() as server:
            answer, _ = server.append("INBOX", "", "", mail)
            assert answer == "OK"

    def fill(self, mails: Iterable[bytes]) -> None:
        """Put many mails into the mailbox at once, where the server finds them at its next look."""
        new = self.folder / "mail" / "new"
        assert new.is_dir(), "deliver one mail first"
        for number, mail in enumerate(mails):
            file = new / f"{time.time_ns()}.M{number}P1.mill"
            file.write_bytes(mail)
            os.chown(file, *self.owner)

    def flags(self) -> list[bytes]:
        """The flags of each mail."""
        with self.signed_in() as server:
            server.select("INBOX", readonly=True)
            _, found = server.fetch("1:*", "(FLAGS)")
            return [one for one in found if isinstance(one, bytes)]

    @contextmanager
    def signed_in(self) -> Iterator[imaplib.IMAP4]:
        """A connection of a person who looks into their mailbox."""
        server = imaplib.IMAP4("127.0.0.1", self.port, timeout=10)
        try:
            server.login(USER, PASSWORD)
            yield server
        finally:
            server.logout()

    def mailbox(self, **more: object) -> Mailbox:
        """The mailbox as the system reads it."""
        given = {"port": self.port, "security": "none", "password": SecretStr(PASSWORD), **more}
        return Mailbox(host="127.0.0.1", user=USER, **given)  # type: ignore[arg-type]


@contextmanager
def imap_server(certificate: CertificateFiles | None = None) -> Iterator[ImapServer]:
    """Run it. Without Dovecot the test is skipped, or fails when CI=true."""
    program = shutil.which("dovecot") or shutil.which("dovecot", path="/usr/sbin")
    if program is None:
        reason = "Dovecot is not installed (Debian: apt install dovecot-imapd)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    # It reads no mail as root.
    user = "nobody" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    entry = pwd.getpwnam(user)
    ssl = "no"
    if certificate is not None:
        ssl = f"yes\nssl_cert = <{certificate.certificate}\nssl_key = <{certificate.key}"
    with tempfile.TemporaryDirectory(prefix="billing-dovecot-") as name:
        folder = Path(name)
        server = ImapServer(
            free_port(),
            free_port() if certificate else 0,
            folder,
            (entry.pw_uid, entry.pw_gid),
        )
        folder.chmod(0o755)
        for part in ("home", "mail"):
            (folder / part).mkdir()
            os.chown(folder / part, entry.pw_uid, entry.pw_gid)
        file = folder / "dovecot.conf"
        file.write_text(
            _FILE.format(
                folder=folder,
                user=user,
                group=grp.getgrgid(entry.pw_gid).gr_name,
                ssl=ssl,
                password=PASSWORD,
                port=server.port,
                tls_port=server.tls_port,
            )
        )
        process = subprocess.Popen([program, "-F", "-c", str(file)])
        try:
            _wait_until_answered(server, folder / "log")
            yield server
        finally:
            process.terminate()
            process.wait(timeout=_START_SECONDS)


def _wait_until_answered(server: ImapServer, log: Path) -> None:
    ends_at = time.monotonic() + _START_SECONDS
    while True:
        try:
            with server.signed_in():
                return
        except (OSError, imaplib.IMAP4.error):
            said = log.read_text() if log.exists() else ""
            assert time.monotonic() < ends_at, f"Dovecot did not start: {said}"
            time.sleep(0.05)
