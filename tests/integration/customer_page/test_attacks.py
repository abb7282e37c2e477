"""Who should not get in does not, learns nothing, and keeps nobody else out."""

import base64
import re
import time
from datetime import timedelta
from itertools import count
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from services.customer_page.codes import CodeRefused, From
from services.customer_page.visits import CodeWanted
from services.identity.auth import NotAllowed, NotSignedIn
from services.identity.permissions import Role
from services.people.customer_links import LinkNotGood
from services.people.limits import TooManyTries
from tests.integration.customer_page.visitor import Town
from tests.integration.utility import ADMIN, ENGINEER

HIDDEN = re.compile(r'value="[^"]*"')


def key_of(link: str) -> str:
    return link.partition("k=")[2]


def test_a_forged_link_opens_nothing(town: Town) -> None:
    town.home("M1")
    other = town.home("M2")
    town.bill("M1")
    key = key_of(town.link("M1"))
    raw = bytearray(base64.urlsafe_b64decode(key + "=="))
    forged = [key[:-1], key + "A", "", "A" * len(key), "é" * 54, "x" * 10_000, "../../etc"]
    for at in range(len(raw)):
        changed = bytearray(raw)
        changed[at] ^= 1
        forged.append(base64.urlsafe_b64encode(changed).rstrip(b"=").decode())
    raw[:16] = bytes.fromhex(other.replace("-", ""))
    forged.append(base64.urlsafe_b64encode(raw).rstrip(b"=").decode())
    visits = town.utility.services.customer_page.visits
    for text in forged:
        with pytest.raises(LinkNotGood):
            visits.open_by_link(text, address="1.1.1.1", now=town.utility.now)
    visitor = town.visitor()
    visitor.open(f"/my/open?k={forged[-1]}")
    assert visitor.status == 410
    assert "Account number" in visitor.text
    assert town.sql("select count(*) from public.customer_sessions") == [(0,)]


def test_a_link_and_a_visit_end_with_their_time(town: Town) -> None:
    town.home("M1")
    town.bill("M1")
    link = town.link("M1")
    visitor = town.visitor()
    visitor.open(link)
    town.utility.now += timedelta(hours=12)
    assert "Account number" in visitor.get("/my")
    town.utility.now += timedelta(days=59)
    visitor.open(link)
    assert "Bill INV-000001" in visitor.get("/my")
    town.utility.now += timedelta(days=2)
    visitor = town.visitor()
    visitor.get(link)
    assert visitor.status == 410
    assert "too old" in visitor.text


@pytest.mark.parametrize("by", ["office", "customer"])
def test_ended_links_take_every_visit_and_code_along(town: Town, by: str) -> None:
    customer = town.home("M1")
    town.bill("M1")
    link = town.link("M1")
    owner, thief = town.confirmed("M1"), town.visitor()
    thief.open(link)
    pages = town.utility.services.customer_page
    if by == "office":
        pages.visits.end_all_of(customer_id=customer, principal=ADMIN, now=town.utility.now)
    else:
        thief.get("/my/end-links")
        thief.post("/my/end-links")
    for visitor in (owner, thief):
        assert "Account number" in visitor.get("/my/bills")
    thief.open(link)
    assert thief.status == 410
    owner.get("/my/sign-in")
    owner.post("/my/sign-in", account="A-M1")
    owner.post("/my/code", account="A-M1", code=town.code("M1", 3))
    assert "A-M1, House M1" in owner.text


def test_a_restored_backup_brings_no_link_and_no_visit_back(town: Town) -> None:
    customer = town.home("M1")
    town.bill("M1")
    link, visitor = town.link("M1"), town.confirmed("M1")
    town.sql("update public.installation set restored_at = now() + interval '1 minute' returning 1")
    assert "Account number" in visitor.get("/my")
    visitor.get(link)
    assert visitor.status == 410
    town.utility.now += timedelta(minutes=2)
    visits = town.utility.services.customer_page.visits
    visitor.open(visits.link_of(customer, town.utility.now).removeprefix("https://bills.example"))
    assert "Bill INV-000001" in visitor.text


def test_a_link_that_was_passed_on_shows_bills_and_does_nothing(town: Town) -> None:
    town.home("M1")
    bill = town.bill("M1")
    stranger = town.visitor()
    stranger.open(town.link("M1"))
    forms: list[tuple[str, dict[str, Any]]] = [
        (f"/my/bills/{bill.id}/dispute", {"reason": "I do not want to pay"}),
        ("/my/moving-out", {"agreement": bill.agreement_id, "last_day": str(town.utility.today)}),
        ("/my/reading", {"meter": bill.meter_id, "kwh": "2000"}),
        ("/my/contact", {"email": "thief@post.example"}),
        (f"/my/requests/{uuid4()}/withdraw", {}),
    ]
    stranger.get("/my")
    for path, fields in forms:
        stranger.get("/my")
        assert "A code is needed" in stranger.post(path, id=str(uuid4()), **fields), path
    assert town.sql("select count(*) from public.customer_requests") == [(0,)]
    pages = town.utility.services.customer_page
    cookie = stranger.client.get_cookie("my_visit", path="/my")
    assert cookie is not None
    visit = pages.visits.find(cookie.value, town.utility.now)
    assert visit is not None
    for ask in (pages.lookups.meters, pages.actions.contact):
        with pytest.raises(CodeWanted):
            ask(visit)


def test_ids_of_other_customers_are_not_found(town: Town) -> None:
    town.home("M1")
    town.home("M2")
    town.bill("M1")
    theirs = town.bill("M2")
    visitor = town.confirmed("M1")
    for path in (
        f"/my/bills/{theirs.id}",
        f"/my/bills/{theirs.id}/pdf",
        f"/my/bills/{theirs.id}/dispute",
        f"/my/bills/{uuid4()}",
        "/my/bills/1",
        f"/my/payments/{uuid4()}",
        f"/my/bills?after={theirs.id}",
        "/my/elsewhere",
    ):
        shown = visitor.get(path)
        assert visitor.status == 404, path
        assert "INV-000002" not in shown
    visitor.get("/my/reading")
    visitor.post("/my/reading", id=str(uuid4()), meter=theirs.meter_id, kwh="2000")
    assert visitor.status == 404
    visitor.get("/my")
    visitor.post(f"/my/bills/{theirs.id}/dispute", id=str(uuid4()), reason="Not mine")
    assert visitor.status == 404
    visitor.get("/my/moving-out")
    visitor.post(
        "/my/moving-out",
        id=str(uuid4()),
        agreement=theirs.agreement_id,
        last_day=str(town.utility.today),
    )
    assert visitor.status == 404


def test_nobody_learns_which_accounts_there_are(town: Town) -> None:
    town.home("M1")
    town.home("M2", email="")
    answers: set[str] = set()
    times: dict[str, float] = {}
    for number in ("A-M1", "A-M2", "A-M9", "x" * 99, "'; drop table customers", "a\x00b"):
        visitor = town.visitor(f"127.0.0.{len(times) + 1}")
        visitor.get("/my/sign-in")
        began = time.monotonic()
        answers.add(HIDDEN.sub("", visitor.post("/my/sign-in", account=number)))
        times[number] = time.monotonic() - began
        answers_code = HIDDEN.sub("", visitor.post("/my/code", account=number, code="00000000"))
        assert visitor.status == 422
        assert "That code is not right" in answers_code
    assert len(answers) == 1
    assert min(times.values()) >= 0.25


def test_ten_thousand_guesses_find_no_code_and_lock_nobody_out(town: Town) -> None:
    town.home("M1")
    codes = town.utility.services.customer_page.codes
    quick = type(codes)(
        codes.database, codes.visits, codes.links, codes.direct, codes.security_log,
        codes.utility_name, least_seconds=0.0,
    )  # fmt: skip
    began = town.utility.now
    quick.ask("A-M1", place=From("9.9.9.9"), now=began)
    code = town.code("M1", 1)
    looked_at = waited = 0
    for guess in range(10_000):
        # A botnet of a hundred addresses, all of it within the ten minutes that the code is good.
        now = began + timedelta(milliseconds=60 * guess)
        wrong = f"{(int(code) + 1 + guess) % 10**8:08d}"
        try:
            quick.enter("A-M1", wrong, place=From(f"10.0.0.{guess % 100}"), now=now)
        except CodeRefused:
            looked_at += 1
        except TooManyTries:
            waited += 1
    assert (looked_at + waited, looked_at < 120) == (10_000, True)
    # Fifty of them spoiled that code; the customer asks for another, and comes in.
    now = began + timedelta(minutes=11)
    quick.ask("A-M1", place=From("192.0.2.1"), now=now)
    opened = quick.enter("A-M1", town.code("M1", 2), place=From("192.0.2.1"), now=now)
    assert opened.visit.confirmed


def test_asking_for_codes_neither_floods_the_customer_nor_keeps_them_out(town: Town) -> None:
    town.home("M1")
    codes = town.utility.services.customer_page.codes
    quick = type(codes)(
        codes.database, codes.visits, codes.links, codes.direct, codes.security_log,
        codes.utility_name, least_seconds=0.0,
    )  # fmt: skip
    numbers = count()
    for _ in range(200):
        now = town.utility.now + timedelta(seconds=11 * next(numbers))
        quick.ask("A-M1", place=From(f"10.0.{now.second}.{now.minute}"), now=now)
    time.sleep(0.5)
    assert len(town.box.mails) == 12
    # No further one is sent; the last that came is good in the customer's own browser.
    town.utility.now += timedelta(seconds=130)
    opened = quick.enter("A-M1", town.code("M1", 12), place=From("192.0.2.1"), now=town.utility.now)
    assert opened.visit.confirmed


def test_forms_of_other_sites_change_nothing(town: Town) -> None:
    town.home("M1")
    bill = town.bill("M1")
    visitor = town.confirmed("M1")
    path, fields = f"/my/bills/{bill.id}/dispute", {"id": str(uuid4()), "reason": "x"}
    visitor.get(path)
    token = visitor.token
    for wrong in ("", "0" * 64, "é"):
        visitor.post(path, token=wrong, **fields)
        assert visitor.status == 403
    for site in ("cross-site", "same-site", "none"):
        answer = visitor.client.post(
            path, data={"token": token, **fields}, headers={"Sec-Fetch-Site": site}
        )
        assert answer.status_code == 403
    # The token of another visit is of no use here.
    town.home("M2")
    town.bill("M2")
    other = town.confirmed("M2")
    other.get("/my")
    visitor.post(path, token=other.token, **fields)
    assert visitor.status == 403
    assert town.sql("select count(*) from public.customer_requests") == [(0,)]
    answer = visitor.client.post(
        path, data={"token": token, **fields}, headers={"Sec-Fetch-Site": "same-origin"}
    )
    assert answer.status_code == 303


def test_what_is_answered_keeps_to_itself(town: Town) -> None:
    town.home("M1")
    town.bill("M1")
    visitor = town.visitor()
    visitor.get(town.link("M1"))
    assert visitor.page is not None
    headers = visitor.page.headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'")
    assert "script" not in policy
    assert "unsafe" not in policy
    assert headers["X-Robots-Tag"] == "noindex, nofollow"
    assert "<script" not in visitor.text
    secure = town.visitor()
    secure.get(town.link("M1"), base_url="https://bills.example")
    answer = secure.client.post(
        "/my/open",
        data={"token": secure.token, "k": key_of(town.link("M1"))},
        base_url="https://bills.example",
    )
    (cookie,) = [c for c in answer.headers.getlist("Set-Cookie") if c.startswith("my_visit=")]
    for part in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/my"):
        assert part in cookie


def test_text_of_a_stranger_is_shown_as_text(town: Town) -> None:
    town.home("M1")
    bill = town.bill("M1")
    visitor = town.confirmed("M1")
    visitor.get(f"/my/bills/{bill.id}/dispute")
    visitor.post(
        f"/my/bills/{bill.id}/dispute", id=visitor.form_id, reason='<script>alert("x")</script>'
    )
    assert visitor.page is not None
    assert b"<script>" not in visitor.page.data
    visitor.get("/my/confirm?next=//evil.example/")
    assert "evil" not in visitor.page.headers.get("Location", "")


def test_nobody_signs_in_as_a_customer(town: Town) -> None:
    services = town.utility.services
    with pytest.raises(Exception, match="the system's own"):
        services.tokens.issue("customer:A-M1", Role.ADMIN, town.utility.now)
    with pytest.raises(NotAllowed):
        services.customer_page.make_link(
            customer_id=town.home("M1"), principal=ENGINEER, now=town.utility.now
        )
    with pytest.raises(NotSignedIn):
        services.who("a visit's cookie", town.utility.now)


def test_who_disputes_a_bill_again_and_again_is_dunned_all_the_same(town: Town) -> None:
    customer = town.home("M1")
    bill = town.bill("M1")
    visitor = town.confirmed("M1")
    requests = town.utility.services.customer_page.requests
    holds = town.utility.services.database.dunning.holds

    def dispute() -> str:
        page = visitor.get(f"/my/bills/{bill.id}/dispute")
        visitor.post(f"/my/bills/{bill.id}/dispute", id=visitor.form_id, reason="Too much")
        return page

    assert "you get no reminders and no fees" in dispute()
    ((first,),) = town.sql("select id::text from public.customer_requests")
    visitor.post(f"/my/requests/{first}/withdraw")
    assert "reminders go on" in dispute()
    (hold,) = holds(customer_id=customer)
    assert (hold.id, hold.released_by) == (first, "customer:A-M1")
    # The office sees it and answers all the same.
    (waiting,) = requests.listed(still_open=True, principal=ADMIN, page=1, page_size=10).items
    requests.close(
        request_id=waiting.id,
        state="declined",
        answer="It was read by you.",
        principal=ADMIN,
        now=town.utility.now,
    )
    assert len(holds(customer_id=customer)) == 1
    # Another bill is another matter.
    town.utility.now += timedelta(days=31)
    other = town.bill("M1", 1217)
    visitor = town.confirmed("M1")
    visitor.get(f"/my/bills/{other.id}/dispute")
    visitor.post(f"/my/bills/{other.id}/dispute", id=visitor.form_id, reason="Too much")
    assert len(holds(customer_id=customer)) == 2


@pytest.mark.parametrize(
    "wanted", ["/my/%2e%2e/session/link?code=x", "/my/..%2fx", "//evil.example", "/my\\x", "/mine"]
)
def test_after_a_code_nobody_is_led_out_of_the_page(town: Town, wanted: str) -> None:
    town.home("M1")
    town.bill("M1")
    visitor = town.visitor()
    visitor.open(town.link("M1"))
    page = visitor.get(f"/my/confirm?next={quote(wanted)}")
    assert 'name="next" value="/my"' in page
