"""Delivery reports in the forms that servers write, and marks that only we can make."""

import hashlib
from email import policy
from email.message import EmailMessage, Message
from email.parser import BytesParser
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.messages.bounces import Bounce, ReturnAddress, bounce_of, is_automatic, is_report

NOTIFICATION = "0d3f5c1e-5a9e-4e43-8a7f-2f3f8f8f1c11"
RETURNS = ReturnAddress("bounces@mill.example", hashlib.sha256(b"key").digest())
TO = RETURNS.of(NOTIFICATION)


def parsed(text: str) -> Message:
    return BytesParser(policy=policy.default).parsebytes(text.replace("\n", "\r\n").encode())


def report(
    *recipients: str, to: str = TO, message: str = "Reporting-MTA: dns; mx.example\n"
) -> str:
    """A report with these blocks of fields, one for each recipient."""
    blocks = "\n".join(block.strip() + "\n" for block in recipients)
    return (
        f"Return-Path: <>\nTo: {to}\nSubject: Undelivered\nMIME-Version: 1.0\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=B\n\n"
        "--B\nContent-Type: text/plain\n\nIt could not be delivered.\n"
        f"--B\nContent-Type: message/delivery-status\n\n{message}\n{blocks}\n"
        "--B\nContent-Type: message/rfc822\n\nSubject: bill\n\nbill\n--B--\n"
    )


FAILED = "Final-Recipient: rfc822; leela@post.example\nAction: failed\nStatus: 5.1.1"
GONE = Bounce("The e-mail came back: the address does not exist (5.1.1).", address_is_gone=True)


def test_a_report_says_that_the_address_is_gone() -> None:
    mail = parsed(report(FAILED))
    assert is_report(mail)
    assert RETURNS.message_of(mail) == NOTIFICATION
    assert bounce_of(mail) == GONE


def test_a_report_without_a_final_recipient_counts() -> None:
    assert bounce_of(parsed(report("Action: failed\nStatus: 5.1.1"))) == GONE


def test_a_report_whose_fields_run_together_counts() -> None:
    assert (
        bounce_of(parsed(report("", message=f"Reporting-MTA: dns; mx.example\n{FAILED}"))) == GONE
    )


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ("ACTION: Failed\nStatus: 5.1.1 (bad mailbox)", GONE.sentence),
        ("Action: failed", "The e-mail came back: the receiving server did not take it."),
        (
            "Action: failed\nStatus: 5.99.99",
            "The e-mail came back: the receiving server did not take it (5.99.99).",
        ),
    ],
)
def test_a_report_in_other_words_counts(fields: str, sentence: str) -> None:
    found = bounce_of(parsed(report(fields)))
    assert found is not None
    assert found.sentence == sentence


@pytest.mark.parametrize("action", ["delayed", "delivered", "relayed", "expanded", "", "maybe"])
def test_what_is_not_said_to_have_failed_has_not(action: str) -> None:
    assert bounce_of(parsed(report(f"Action: {action}\nStatus: 4.4.7"))) is None


def test_of_several_mailboxes_one_that_took_it_is_enough() -> None:
    taken = "Final-Recipient: rfc822; office@post.example\nAction: delivered\nStatus: 2.0.0"
    assert bounce_of(parsed(report(FAILED, taken))) is None
    assert bounce_of(parsed(report(taken, FAILED))) is None


def test_an_address_is_gone_only_where_every_mailbox_behind_it_is() -> None:
    full = "Final-Recipient: rfc822; office@post.example\nAction: failed\nStatus: 5.2.2"
    assert bounce_of(parsed(report(FAILED, FAILED))) == GONE
    found = bounce_of(parsed(report(FAILED, full)))
    assert found is not None
    assert not found.address_is_gone


def forwarded() -> Message:
    """A report as a customer forwards it to the office, who asks what it means."""
    mail = EmailMessage()
    mail["From"], mail["To"] = "leela@post.example", "billing@mill.example"
    mail.set_content("What is this?")
    mail.add_attachment(parsed(report(FAILED)))
    return parsed(mail.as_string())


def test_a_report_that_a_person_forwards_is_no_report() -> None:
    mail = forwarded()
    assert not is_report(mail)
    assert not is_automatic(mail)
    assert bounce_of(mail) is None
    assert RETURNS.message_of(mail) is None


@pytest.mark.parametrize(
    ("header", "value", "automatic"),
    [
        ("Auto-Submitted", "no", False),
        ("Auto-Submitted", "auto-replied; owner", True),
        ("Precedence", "bulk", True),
        ("Precedence", "first-class", False),
        ("Return-Path", "<leela@post.example>", False),
        ("Return-Path", "<>", True),
    ],
)
def test_absence_notes_are_known(header: str, value: str, automatic: bool) -> None:
    assert (
        is_automatic(parsed(f"{header}: {value}\nFrom: leela@post.example\n\nHello")) is automatic
    )


@pytest.mark.parametrize(
    "to",
    [
        "bounces@mill.example",
        "bounces+@mill.example",
        TO.replace("mill.example", "evil.example"),
        TO.replace("bounces+", "bounces+a"),
        f"{TO[:12]}{'a' if TO[12] != 'a' else 'b'}{TO[13:]}",
        "bounces+" + "a" * 39 + "@mill.example",
        "",
    ],
)
def test_a_mark_that_is_not_ours_marks_nothing(to: str) -> None:
    mail = parsed(report(FAILED, to=to))
    assert RETURNS.message_of(mail) is None
    assert RETURNS.customer_of(mail, lambda _: "leela@post.example") is None


def test_another_installations_mark_marks_nothing() -> None:
    other = ReturnAddress("bounces@mill.example", hashlib.sha256(b"other").digest())
    assert other.message_of(parsed(report(FAILED))) is None


def test_a_mark_is_found_in_any_case_and_among_other_addresses() -> None:
    mail = parsed(report(FAILED, to=f"Other <a@b.example>, {TO.upper()}"))
    assert RETURNS.message_of(mail) == NOTIFICATION


def test_of_thousands_of_addresses_only_the_first_are_looked_at() -> None:
    many = ", ".join(f"a{n}@b.example" for n in range(2_000))
    assert RETURNS.message_of(parsed(report(FAILED, to=f"{many}, {TO}"))) is None


def test_made_up_marks_cost_a_few_look_ups_and_no_more() -> None:
    asked: list[str] = []

    def email_of(customer_id: str) -> str:
        asked.append(customer_id)
        return "leela@post.example"

    letters = "abcdefghijklmnopqrst"
    many = ", ".join(f"bounces+{letter * 39}@mill.example" for letter in letters)
    assert RETURNS.customer_of(parsed(report(FAILED, to=many)), email_of) is None
    assert len(asked) == 3
    ours = RETURNS.of_customer(NOTIFICATION, "leela@post.example")
    mail = parsed(f"Delivered-To: {ours}\nX-Original-To: {ours}\n{report(FAILED, to=ours)}")
    assert RETURNS.customer_of(mail, email_of) == (NOTIFICATION, "leela@post.example")


@given(st.uuids(version=4), st.uuids(version=4))
def test_each_message_has_a_mark_of_its_own_that_is_read_back(one: UUID, other: UUID) -> None:
    mail = EmailMessage()
    mail["Delivered-To"] = RETURNS.of(str(one))
    assert RETURNS.message_of(mail) == str(one)
    assert (RETURNS.of(str(one)) == RETURNS.of(str(other))) is (one == other)
    # A customer's mark is never taken for a message's, nor the other way round.
    assert RETURNS.customer_of(mail, lambda _: "leela@post.example") is None


@given(st.uuids(version=4), st.integers(0, 38), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_a_mark_with_any_letter_changed_is_none(one: UUID, at: int, letter: str) -> None:
    name, _, rest = RETURNS.of(str(one)).partition("+")
    mark, _, domain = rest.partition("@")
    changed = mark[:at] + letter + mark[at + 1 :]
    mail = EmailMessage()
    mail["Delivered-To"] = f"{name}+{changed}@{domain}"
    assert (RETURNS.message_of(mail) is not None) is (changed == mark)


@given(st.binary(max_size=2_000))
def test_whatever_a_stranger_sends_says_nothing_false(content: bytes) -> None:
    mail = BytesParser(policy=policy.compat32).parsebytes(content)
    assert RETURNS.message_of(mail) is None
