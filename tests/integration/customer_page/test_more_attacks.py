"""What many try at once, and what is sent in the place of what is asked for, does no harm."""

import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from services.customer_page.codes import MOST_GUESSES, CodeRefused, From
from services.database.errors import IllegalChange
from services.records.customers.pages import Visit
from tests.integration.customer_page.test_unreached import corrected
from tests.integration.customer_page.visitor import Town, Visitor
from tests.integration.utility import ADMIN

AT_ONCE = 16


def visit_of(town: Town, visitor: Visitor) -> Visit:
    cookie = visitor.client.get_cookie("my_visit", path="/my")
    assert cookie is not None
    visit = town.utility.services.customer_page.visits.find(cookie.value, town.utility.now)
    assert visit is not None
    return visit


def test_codes_guessed_at_once_by_many_processes_are_counted_each(town: Town) -> None:
    customer = town.home("M1")
    services = town.utility.services
    codes = services.customer_page.codes
    codes.ask("A-M1", place=From("9.9.9.9"), now=town.utility.now)
    right = town.code("M1", 1)

    def guess(number: int) -> bool:
        # As each process asks, which knows nothing of the pauses of the others.
        wrong = f"{(int(right) + 1 + number) % 10**8:08d}"
        return services.database.use_customer_code(
            customer_id=customer,
            code_hash=codes.links.hash_code(wrong, customer_id=customer),
            at=town.utility.now,
            most_guesses=MOST_GUESSES,
        )

    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert not any(pool.map(guess, range(4 * MOST_GUESSES)))
    assert town.sql("select guesses from public.customer_codes") == [(MOST_GUESSES,)]
    with pytest.raises(CodeRefused):
        codes.enter("A-M1", right, place=From("192.0.2.1"), now=town.utility.now)


def test_a_code_that_many_enter_at_once_lets_one_in(town: Town) -> None:
    customer = town.home("M1")
    services = town.utility.services
    codes = services.customer_page.codes
    codes.ask("A-M1", place=From("9.9.9.9"), now=town.utility.now)
    code_hash = codes.links.hash_code(town.code("M1", 1), customer_id=customer)

    def enter(_: int) -> bool:
        return services.database.use_customer_code(
            customer_id=customer,
            code_hash=code_hash,
            at=town.utility.now,
            most_guesses=MOST_GUESSES,
        )

    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert sum(pool.map(enter, range(AT_ONCE))) == 1


def test_a_code_that_was_out_when_the_links_were_ended_lets_nobody_in(town: Town) -> None:
    customer = town.home("M1")
    pages = town.utility.services.customer_page
    pages.codes.ask("A-M1", place=From("9.9.9.9"), now=town.utility.now)
    pages.visits.end_all_of(customer_id=customer, principal=ADMIN, now=town.utility.now)
    with pytest.raises(CodeRefused):
        pages.codes.enter("A-M1", town.code("M1", 1), place=From("192.0.2.1"), now=town.utility.now)


def test_a_bill_that_is_disputed_many_times_at_once_is_disputed_once(town: Town) -> None:
    town.home("M1")
    bill = town.bill("M1")
    visit = visit_of(town, town.confirmed("M1"))
    actions = town.utility.services.customer_page.actions

    def dispute(_: int) -> bool:
        try:
            actions.dispute(
                visit,
                request_id=str(uuid4()),
                bill_id=bill.id,
                reason="Too much",
                now=town.utility.now,
            )
        except IllegalChange:
            return False
        return True

    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert sum(pool.map(dispute, range(AT_ONCE))) == 1
    assert town.sql("select count(*) from public.customer_requests") == [(1,)]
    assert town.sql("select count(*) from public.dunning_holds") == [(1,)]


def bomb() -> bytes:
    """A PNG of a few hundred bytes that claims 3.6 thousand million pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(100_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (bomb(), "more than 24 million pixels"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "no JPEG, PNG or WebP"),
        (b"\xff\xd8\xff\xe0" + bytes(500), "JPEG"),
        (b"PK\x03\x04" + bytes(500), "no JPEG, PNG or WebP"),
    ],
    ids=["bomb", "script", "damaged", "archive"],
)
def test_what_is_no_photo_is_refused_and_nothing_of_it_is_kept(
    town: Town, content: bytes, said: str
) -> None:
    town.home("M1")
    bill = town.bill("M1")
    visitor = town.confirmed("M1")
    visitor.get("/my/reading")
    page = visitor.post(
        "/my/reading",
        id=visitor.form_id,
        meter=bill.meter_id,
        kwh="1200",
        photo=(io.BytesIO(content), "meter.jpg"),
    )
    assert visitor.status == 422
    assert said in page or "This photo is damaged." in page
    assert town.sql("select count(*) from public.photo_contents") == [(0,)]
    assert town.sql("select count(*) from public.readings where source = 'customer'") == [(0,)]


@pytest.mark.parametrize(
    "email",
    [
        "m1@post.example\r\nBcc: all@post.example",
        "m1@post.example, all@post.example",
        "Leela <m1@post.example>",
        "m1@post.example\x00",
        "x" * 250 + "@post.example",
        "<script>@post.example",
    ],
)
def test_an_address_that_is_more_than_one_address_is_refused(town: Town, email: str) -> None:
    customer = town.home("M1")
    town.bill("M1")
    visitor = town.confirmed("M1")
    corrected(visitor, email)
    assert visitor.status == 422
    assert town.utility.services.database.customer_contact(customer).email == "m1@post.example"


def test_who_takes_the_address_of_another_customer_reaches_them_and_learns_nothing(
    town: Town,
) -> None:
    mine, theirs = town.home("M1"), town.home("M2")
    town.bill("M1")
    their_bill = town.bill("M2")
    visitor = town.confirmed("M1")
    page = corrected(visitor, "m2@post.example")
    assert "Your contact details are saved." in page
    # The address of before learns of it.
    assert "Somebody changed" in town.mail_to("m1@post.example", 3)
    database = town.utility.services.database
    visitor.get(f"/my/bills/{their_bill.id}")
    assert visitor.status == 404
    # Whose answer it is nobody knows any more, so it is counted to neither.
    database.message_book.note_reply(
        actor="system:mailbox",
        reply_id=str(uuid4()),
        channel="email",
        sender="m2@post.example",
        body="Hello",
        received_at=town.utility.now,
    )
    (reply,) = database.message_book.open_replies().items
    assert reply.customer_id is None
    # What comes back from there is of the one to whom it was sent.
    database.message_book.note_address_gone(
        actor="system:deliveries", customer_id=mine, email="m2@post.example"
    )
    assert database.customer_contact(mine).email_bounced_at is not None
    assert database.customer_contact(theirs).email_bounced_at is None


def test_who_changes_their_address_without_end_is_stopped(town: Town) -> None:
    town.home("M1")
    town.bill("M1")
    visitor = town.confirmed("M1")
    answers = []
    for number in range(12):
        corrected(visitor, f"m1-{number}@post.example")
        answers.append(visitor.status)
    assert answers == [200] * 10 + [429] * 2
