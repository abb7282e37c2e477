"""A message about a bill as e-mail, with the PDFs of its bills."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Final

from services.languages.language import Language
from services.messages.account_texts.charges import subject_of
from services.messages.wording import HEADLINES
from services.records.bills import Bill
from services.records.outbox import OutboxKind

# What most servers take at least, less what the encoding of attachments adds.
MOST_ATTACHED: Final = 7_000_000
# As servers without 8BITMIME (RFC 6152) take it too.
POLICY: Final = policy.SMTP.clone(cte_type="7bit")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A PDF and the name of its file."""

    name: str
    pdf: bytes


def mail_of(
    *,
    bill: Bill,
    kind: OutboxKind,
    text: str,
    language: str,
    sender: str,
    sender_name: str,
    recipient: str,
    row_id: str,
    at: datetime,
    attachments: Sequence[Attachment] = (),
    reply_to: str = "",
) -> EmailMessage:
    """The mail about a bill at `at` (UTC); of a row it is the same mail however often it is made.

    Headers after RFC 5322, and after RFC 3834 that no absence note answers it.
    """
    mail = EmailMessage(policy=POLICY)
    mail["Subject"] = f"{Language.of(language).gettext(HEADLINES[kind])} {subject_of(bill, kind)}"
    mail["From"] = Address(sender_name, addr_spec=sender)
    mail["To"] = recipient
    if reply_to:
        mail["Reply-To"] = reply_to
    mail["Date"] = at
    mail["Message-ID"] = f"<{row_id}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail.set_content(f"{text}\n")
    left = MOST_ATTACHED
    for one in attachments:
        left -= len(one.pdf)
        if left < 0:
            break
        mail.add_attachment(one.pdf, maintype="application", subtype="pdf", filename=one.name)
    # Setting and attaching content move such headers away.
    mail["Content-Language"] = language
    return mail
