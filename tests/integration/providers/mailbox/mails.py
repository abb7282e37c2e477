"""What lies in the mailbox of a utility, and what became of what it sent."""

from typing import Any

import psycopg

from services.records.messages import Notification
from tests.integration.utility import Utility

SENDER = "billing@mill.example"


def sql(dsn: str, statement: str) -> list[Any]:
    with psycopg.connect(dsn) as connection:
        connection.execute("select set_config('billing.actor', 'test', false)")
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def submit(utility: Utility, kwh: int = 1117) -> str:
    answer = utility.submit("M1", kwh)
    assert answer.bill is not None
    return answer.bill.id


def look(utility: Utility) -> int:
    assert utility.services.inbox is not None
    return utility.services.inbox.look()


def mailed(utility: Utility, bill: str, channel: str = "email") -> Notification:
    found = utility.services.database.notifications(bill_id=bill).items
    (one,) = [one for one in found if one.channel == channel]
    return one


def report(to: str, *, action: str = "failed", status: str = "5.1.1") -> bytes:
    """A delivery report as Postfix writes it."""
    return (
        "Return-Path: <>\r\n"
        f"Delivered-To: {to}\r\n"
        "From: MAILER-DAEMON@mx.post.example (Mail Delivery System)\r\n"
        f"To: {to}\r\n"
        "Subject: Undelivered Mail Returned to Sender\r\n"
        "Auto-Submitted: auto-replied\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=B\r\n"
        "Message-Id: <20261130.1@mx.post.example>\r\n\r\n"
        "--B\r\nContent-Description: Notification\r\nContent-Type: text/plain\r\n\r\n"
        "I'm sorry to have to inform you that your message could not be delivered.\r\n"
        "--B\r\nContent-Description: Delivery report\r\n"
        "Content-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; mx.post.example\r\nArrival-Date: Mon, 30 Nov 2026 10:00:00 +0000\r\n"
        "\r\nFinal-Recipient: rfc822; leela@post.example\r\n"
        f"Action: {action}\r\nStatus: {status}\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 <leela@post.example>: unknown\r\n"
        "\r\n--B\r\nContent-Type: message/rfc822\r\n\r\n"
        f"Message-ID: <x@mill.example>\r\nTo: leela@post.example\r\n\r\nbill\r\n--B--\r\n"
    ).encode()


def envelope_of(utility: Utility, bill: str) -> str:
    assert utility.services.inbox is not None
    assert utility.services.inbox.returns is not None
    return utility.services.inbox.returns.of(mailed(utility, bill).id)
