"""Customers' pages over both transports: links, visits, codes, requests, similar homes."""

from datetime import timedelta
from uuid import uuid4

import pytest

from services.database.errors import IllegalChange, NotFound
from services.records.customers.pages import HomeBand, NewRequest
from tests.contract.over import Over
from tests.contract.test_accounts import bill_of

MINUTE = timedelta(minutes=1)


def open_visit(over: Over, customer_id: str, *, generation: int = 0, by: str = "link") -> str:
    """A visit whose cookie has the hash that is answered."""
    token_hash, now = uuid4().hex, over.utility.now
    over.here.open_customer_session(
        actor="customer:x",
        session_id=str(uuid4()),
        customer_id=customer_id,
        token_hash=token_hash,
        generation=generation,
        opened_by=by,  # type: ignore[arg-type]
        at=now,
        expires_at=now + 10 * MINUTE,
    )
    return token_hash


def test_a_visit_lasts_until_its_time_its_end_or_the_end_of_all_links(over: Over) -> None:
    customer, now = bill_of(over).customer_id, over.utility.now
    page = over.same("customer_page", customer)
    assert over.same("customer_page_numbered", page.account_no) == page
    assert over.same("customer_page", str(uuid4())) is None
    token_hash = open_visit(over, customer)
    visit = over.same("customer_session", token_hash=token_hash, at=now)
    assert (visit.customer_id, visit.confirmed) == (customer, False)
    assert over.same("customer_session", token_hash=token_hash, at=now + 10 * MINUTE) is None
    over.here.confirm_customer_session(
        actor="customer:x", session_id=visit.id, at=now, expires_at=now + 60 * MINUTE
    )
    assert over.same("customer_session", token_hash=token_hash, at=now + 10 * MINUTE).confirmed
    other = open_visit(over, customer, by="code")
    over.here.end_customer_session(actor="customer:x", session_id=visit.id, at=now)
    assert over.same("customer_session", token_hash=token_hash, at=now) is None
    assert over.same("customer_session", token_hash=other, at=now).confirmed
    over.here.end_customer_links(actor="office", customer_id=customer, at=now)
    assert over.same("customer_session", token_hash=other, at=now) is None
    with pytest.raises(IllegalChange, match="ended"):
        open_visit(over, customer)
    assert over.same("customer_page", customer).generation == 1
    with pytest.raises(NotFound):
        over.here.confirm_customer_session(
            actor="customer:x", session_id=visit.id, at=now, expires_at=now
        )


def test_a_code_is_good_once_and_so_many_guesses_long(over: Over) -> None:
    customer, now = bill_of(over).customer_id, over.utility.now

    def keep(code_hash: str, asked_by: str = "stranger", most: int = 2) -> bool:
        return over.here.keep_customer_code(
            code_id=str(uuid4()),
            customer_id=customer,
            code_hash=code_hash,
            asked_by=asked_by,
            at=now,
            expires_at=now + 15 * MINUTE,
            most_an_hour=most,
        )

    def use(code_hash: str, *, minutes: int = 0, of: str | None = customer) -> bool:
        return over.here.use_customer_code(
            customer_id=of, code_hash=code_hash, at=now + minutes * MINUTE, most_guesses=3
        )

    assert keep("a")
    assert keep("b")
    assert not keep("c")
    assert keep("d", asked_by="device 1")
    assert not use("a", minutes=15)
    assert not use("a", of=None)
    assert not use("wrong")
    assert use("b", minutes=14)
    # The right one used up the others.
    assert not use("a")
    assert keep("e", asked_by="device 2")
    assert [use("wrong"), use("wrong"), use("wrong")] == [False] * 3
    assert not use("e")


def test_a_request_is_asked_once_and_closed_once(over: Over) -> None:
    bill, now, today = bill_of(over), over.utility.now, over.utility.today
    dispute = NewRequest(str(uuid4()), "dispute", bill_id=bill.id, note="Too much")
    move = NewRequest(str(uuid4()), "move_out", agreement_id=bill.agreement_id, wanted_on=today)

    def ask(request: NewRequest, customer: str = bill.customer_id) -> None:
        over.here.ask_customer_request(
            actor="customer:x", customer_id=customer, request=request, at=now, today=today
        )

    for _ in range(2):
        ask(dispute)
        ask(move)
    again = NewRequest(str(uuid4()), "dispute", bill_id=bill.id, note="Still too much")
    with pytest.raises(IllegalChange, match="already"):
        ask(again)
    over.utility.add_meter("M2")
    other = over.here.account_numbered("A-M2").id
    for mine in (dispute, move):
        foreign = NewRequest(
            str(uuid4()),
            mine.kind,
            bill_id=mine.bill_id,
            agreement_id=mine.agreement_id,
            wanted_on=mine.wanted_on,
            note="x",
        )
        with pytest.raises(NotFound):
            ask(foreign, other)
    found = over.same("customer_requests", customer_id=bill.customer_id)
    assert {(one.kind, one.state) for one in found.items} == {
        ("dispute", "open"),
        ("move_out", "open"),
    }
    assert over.same("customer_requests", still_open=True).total == 2
    assert over.same("customer_requests", bill_id=bill.id).total == 1
    with pytest.raises(NotFound):
        over.here.close_customer_request(
            actor="customer:y",
            request_id=dispute.id,
            customer_id=other,
            state="withdrawn",
            at=now,
        )
    for _ in range(2):
        over.here.close_customer_request(
            actor="office", request_id=dispute.id, state="declined", answer="It is right", at=now
        )
    of_customer = over.same("customer_requests", customer_id=bill.customer_id).items
    (closed,) = [request for request in of_customer if request.id == dispute.id]
    assert (closed.state, closed.answer, closed.closed_by) == ("declined", "It is right", "office")
    with pytest.raises(IllegalChange, match="closed"):
        over.here.close_customer_request(
            actor="other", request_id=dispute.id, state="accepted", answer="Yes", at=now
        )
    (hold,) = over.here.dunning.holds(customer_id=bill.customer_id)
    assert hold.released_by == "office"


def test_similar_homes_are_those_of_a_tariff(over: Over) -> None:
    bill = bill_of(over)
    band = over.same("home_band", bill.agreement_id)
    assert isinstance(band, HomeBand)
    since = bill.period_start.replace(day=1)
    found = over.same("similar_use", band=band, since=since, most=300, least=0)
    assert [month.homes for month in found] or bill.period_start.day != 1
    assert over.same("similar_use", band=band, since=since, most=300, least=10) == []
    assert over.same("home_band", str(uuid4())) is None
