"""What needs a second person is a request first, and done once when another approves it."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from services.approvals import asking
from services.approvals.asking import AwaitsApproval
from services.approvals.deciding import Action
from services.corrections.plan import WrongBill
from services.database.errors import IllegalChange
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import NotAllowed, Principal
from services.identity.permissions import Role
from services.importing import Importer
from services.payments import refunds, reversals
from services.records.drafts import ApprovalRequest
from services.records.entries import NewReturn
from services.records.ledger import Payment
from services.tariffs import parse_tariff
from tests.integration.utility import ADMIN, KSEB, Utility, make_utility

CASHIER = Principal("asha", frozenset({Role.CASHIER}), None, "token")
MANAGER = Principal("boss", frozenset({Role.MANAGER}), None, "token")


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    yield made
    made.services.close()


def want(utility: Utility, **settings: Any) -> None:
    desk = utility.services.settings_desk
    seen = desk.shown(principal=ADMIN).stored
    assert desk.change(change_id=str(uuid4()), body=settings, seen=seen, principal=ADMIN)


def paid(utility: Utility, amount: str = "540.35") -> Payment:
    utility.add_meter("M1")
    bill = utility.submit("M1", 1117).bill
    assert bill is not None
    body = {"amount": amount, "method": "cash", "received_on": utility.today}
    return utility.services.office_payments.record_payment(
        payment_id=str(uuid4()), bill_id=bill.id, body=body, principal=CASHIER, now=utility.now
    ).payment


def refund(utility: Utility, payment: Payment, by: Principal, **how: Any) -> Any:
    given: dict[str, Any] = {"amount": "40.00", "by_stripe": False, "method": "cash"}
    given |= {"reference": "", "reason": "paid twice", "return_id": str(uuid4())}
    return utility.services.refunds.refund(
        payment_id=payment.id, principal=by, now=utility.now, **given | how
    )


def waiting(utility: Utility) -> ApprovalRequest:
    (request,) = utility.services.approvals.listed(
        waiting=True, principal=MANAGER, page=1, page_size=10
    ).items
    return request


def approve(utility: Utility, request: ApprovalRequest, by: Principal = MANAGER) -> ApprovalRequest:
    return utility.services.approvals.approve(
        request_id=request.id, reason="seen the receipt", principal=by, now=utility.now
    )


def returned(utility: Utility, payment: Payment) -> int:
    found = utility.services.payments.detail(payment_id=payment.id, principal=MANAGER)
    return sum(one.amount_minor for one in found.returns)


def test_without_the_setting_it_is_done_at_once(utility: Utility) -> None:
    payment = paid(utility)
    assert refund(utility, payment, CASHIER).status == "done"
    assert utility.services.database.approvals(waiting=True).total == 0


def test_a_refund_waits_and_is_done_once_when_another_approves_it(
    utility: Utility, database: str
) -> None:
    payment = paid(utility)
    want(utility, four_eyes=["refunds"])
    form = str(uuid4())
    for _ in range(2):
        with pytest.raises(AwaitsApproval, match="second person"):
            refund(utility, payment, CASHIER, return_id=form)
    request = waiting(utility)
    assert request.summary == "Refund ₹40.00 of a payment of ₹540.35 by House M1"
    assert (request.reason, request.asked_by, request.over_limit) == ("paid twice", "asha", False)
    assert returned(utility, payment) == 0
    assert approve(utility, request).state == "done"
    assert returned(utility, payment) == 4_000
    with pytest.raises(IllegalChange, match="already"):
        approve(utility, request)
    # The form that was sent again is answered with what was done.
    assert refund(utility, payment, CASHIER, return_id=form).id == form
    assert returned(utility, payment) == 4_000
    with psycopg.connect(database) as connection:
        actors = connection.execute(
            "select distinct actor from public.audit_log where table_name = 'payment_returns'"
        ).fetchall()
    assert actors == [("asha (approved by boss)",)]


def test_nobody_decides_on_what_they_asked_for(utility: Utility) -> None:
    payment = paid(utility)
    want(utility, four_eyes=["refunds"])
    with pytest.raises(AwaitsApproval):
        refund(utility, payment, CASHIER)
    request = waiting(utility)
    approvals = utility.services.approvals
    another_role = replace(CASHIER, roles=frozenset({Role.ADMIN}), user="ASHA")
    program = replace(MANAGER, via="api_key")
    clerk = Principal("clerk", frozenset({Role.CLERK}), None, "token")
    for who in (CASHIER, another_role, program, clerk):
        with pytest.raises(NotAllowed):
            approve(utility, request, who)
        with pytest.raises(NotAllowed):
            approvals.reject(request_id=request.id, reason="no", principal=who)
        if who is not program:
            assert not approvals.may_decide(request, principal=who)
    assert approvals.may_decide(request, principal=MANAGER)
    with pytest.raises(ReasonMissing):
        approvals.reject(request_id=request.id, reason=" ", principal=MANAGER)
    rejected = approvals.reject(request_id=request.id, reason="no receipt", principal=MANAGER)
    assert (rejected.state, rejected.decision_reason) == ("rejected", "no receipt")
    assert returned(utility, payment) == 0
    with pytest.raises(IllegalChange, match="already"):
        approve(utility, request)


def test_what_changed_since_is_refused_and_said(utility: Utility) -> None:
    payment = paid(utility)
    want(utility, four_eyes=["refunds"])
    for amount in ("540.35", "500.00"):
        with pytest.raises(AwaitsApproval):
            refund(utility, payment, CASHIER, amount=amount)
    second, first = utility.services.database.approvals(waiting=True).items
    assert approve(utility, first).state == "done"
    failed = approve(utility, second)
    assert (failed.state, failed.decided_by) == ("failed", "boss")
    assert failed.outcome
    assert returned(utility, payment) == 54_035


def test_a_refund_over_the_limit_needs_a_manager(utility: Utility) -> None:
    payment = paid(utility)
    want(utility, refund_limits={"INR": "50.00"})
    assert refund(utility, payment, CASHIER, amount="50.00").status == "done"
    assert refund(utility, payment, MANAGER, amount="50.01").status == "done"
    with pytest.raises(AwaitsApproval):
        refund(utility, payment, CASHIER, amount="50.01")
    request = waiting(utility)
    assert request.over_limit
    with pytest.raises(NotAllowed):
        approve(utility, request, replace(CASHIER, user="another cashier"))
    assert approve(utility, request).state == "done"


def test_a_bill_is_void_only_when_another_approves_it(utility: Utility) -> None:
    utility.add_meter("M1")
    bill = utility.submit("M1", 1117).bill
    assert bill is not None
    want(utility, four_eyes=["voids"])
    rebilling = utility.services.rebilling
    plan = rebilling.plan(WrongBill(bill.id), now=utility.now)
    with pytest.raises(AwaitsApproval):
        rebilling.execute(
            WrongBill(bill.id),
            previewed=plan.fingerprint,
            correction_id=str(uuid4()),
            reason="nobody lived there",
            acknowledged=True,
            principal=MANAGER,
            now=utility.now,
        )
    request = waiting(utility)
    assert request.summary == f"Void {bill.reference}: the customer owes ₹540.35 less"
    assert utility.services.database.bill(bill.id).status == "issued"
    assert approve(utility, request, ADMIN).state == "done"
    assert utility.services.database.bill(bill.id).status == "void"


def test_a_credit_and_a_payout_wait_too(utility: Utility) -> None:
    payment = paid(utility, "600.00")
    assert payment.customer_id is not None
    want(utility, four_eyes=["voids", "refunds"])
    services = utility.services
    body = {"kind": "credit", "amount": "10.00", "note": "goodwill"}
    with pytest.raises(AwaitsApproval):
        services.account_adjustments.adjust(
            entry_id=str(uuid4()),
            customer_id=payment.customer_id,
            body=body,
            principal=MANAGER,
            now=utility.now,
        )
    assert approve(utility, waiting(utility), ADMIN).state == "done"
    fee = body | {"kind": "fee"}
    services.account_adjustments.adjust(
        entry_id=str(uuid4()),
        customer_id=payment.customer_id,
        body=fee,
        principal=MANAGER,
        now=utility.now,
    )
    with pytest.raises(AwaitsApproval):
        services.refunds.pay_out(
            customer_id=payment.customer_id,
            amount="59.00",
            method="cash",
            reference="",
            reason="moves away",
            principal=CASHIER,
            now=utility.now,
            return_id=str(uuid4()),
        )
    assert approve(utility, waiting(utility)).state == "done"
    assert services.database.account(payment.customer_id).balance_minor == -65


def test_a_tariff_is_published_only_when_another_approves_it(utility: Utility) -> None:
    want(utility, four_eyes=["tariffs"])
    publishing = utility.services.tariff_publishing
    begins = utility.today + timedelta(days=40)
    tariff = parse_tariff(KSEB | {"effective_from": begins.isoformat()})
    for _ in range(2):
        with pytest.raises(AwaitsApproval):
            publishing.publish(tariff=tariff, principal=MANAGER)
    assert len(utility.services.database.published_versions(code=KSEB["code"])) == 1
    assert approve(utility, waiting(utility), ADMIN).state == "done"
    assert len(utility.services.database.published_versions(code=KSEB["code"])) == 2
    assert publishing.publish(tariff=tariff, principal=MANAGER) is False


def test_the_database_refuses_what_nobody_approved(utility: Utility) -> None:
    payment = paid(utility)
    want(utility, four_eyes=["refunds", "tariffs"])
    entry = NewReturn(
        id=str(uuid4()),
        payment_id=payment.id,
        kind="refund",
        amount_minor=100,
        method="cash",
        reason="around the service",
        on_date=utility.today,
    )
    with pytest.raises(IllegalChange, match="second person"):
        utility.services.database.record_return(actor="asha", entry=entry)
    assert returned(utility, payment) == 0


def test_a_request_that_nobody_decided_on_expires_and_can_be_asked_again(
    utility: Utility, database: str
) -> None:
    payment = paid(utility)
    want(utility, four_eyes=["refunds"])
    form = str(uuid4())
    with pytest.raises(AwaitsApproval):
        refund(utility, payment, CASHIER, return_id=form)
    old = waiting(utility)
    with psycopg.connect(database) as connection:
        connection.execute("select set_config('billing.actor', 'a test', true)")
        connection.execute("update public.approval_requests set expires_at = now()")
    with pytest.raises(IllegalChange, match="expired"):
        approve(utility, old)
    with pytest.raises(AwaitsApproval):
        refund(utility, payment, CASHIER, return_id=form)
    assert waiting(utility).id != old.id


def importer(utility: Utility) -> Importer:
    return Importer(utility.services.database, utility.services.settings.timezone)


def a_tariff_file(tmp_path: Path, *tariffs: dict[str, Any]) -> Path:
    file = tmp_path / "tariffs.json"
    file.write_text(json.dumps(tariffs))
    return file


def test_an_imported_tariff_is_a_request_and_a_repeat_of_the_file_adds_nothing(
    utility: Utility, tmp_path: Path
) -> None:
    want(utility, four_eyes=["tariffs"])
    database = utility.services.database
    (known,) = database.published_versions(code=KSEB["code"])
    begins = utility.today + timedelta(days=40)
    later = KSEB | {"effective_from": begins.isoformat()}
    file = a_tariff_file(tmp_path, known.tariff.to_json(), later)
    for said in ("second person", "second person"):
        report = importer(utility).run("tariffs", file, actor="cli:asha", now=utility.now)
        assert report.ok
        (remark,) = report.remarks
        assert said in str(remark)
        assert (report.added, report.unchanged) == (0, 1)
    request = waiting(utility)
    assert request.asked_by == "cli:asha"
    # The tariffs' page would ask for the very same.
    with pytest.raises(AwaitsApproval, match="second person"):
        utility.services.tariff_publishing.publish(tariff=parse_tariff(later), principal=MANAGER)
    assert approve(utility, request).state == "done"
    assert len(database.published_versions(code=KSEB["code"])) == 2
    report = importer(utility).run("tariffs", file, actor="cli:asha", now=utility.now)
    assert (report.added, report.unchanged, report.remarks) == (0, 2, ())


def test_a_file_with_something_wrong_asks_for_nothing(utility: Utility, tmp_path: Path) -> None:
    want(utility, four_eyes=["tariffs"])
    begins = (utility.today + timedelta(days=40)).isoformat()
    other = KSEB | {"effective_from": begins}
    file = a_tariff_file(tmp_path, other, KSEB | {"code": "X", "effective_from": "no day"})
    report = importer(utility).run("tariffs", file, actor="cli:asha", now=utility.now)
    assert not report.ok
    assert utility.services.database.approvals(waiting=True).total == 0


def test_a_fee_that_is_taken_back_waits_and_a_credit_that_is_does_not(utility: Utility) -> None:
    payment = paid(utility)
    assert payment.customer_id is not None
    adjustments, database = utility.services.account_adjustments, utility.services.database
    ids = {"fee": str(uuid4()), "credit": str(uuid4())}
    for kind, entry_id in ids.items():
        adjustments.adjust(
            entry_id=entry_id,
            customer_id=payment.customer_id,
            body={"kind": kind, "amount": "25.00", "note": "a reason"},
            principal=MANAGER,
            now=utility.now,
        )
    want(utility, four_eyes=["voids"])
    undo: dict[str, Any] = {"reason": "entered wrongly", "principal": MANAGER, "now": utility.now}
    with pytest.raises(IllegalChange, match="second person"):
        database.undo_adjustment(
            actor="boss", entry_id=ids["fee"], reason="around", on_date=utility.today
        )
    for _ in range(2):
        with pytest.raises(AwaitsApproval, match="second person"):
            adjustments.undo_adjustment(entry_id=ids["fee"], **undo)
    adjustments.undo_adjustment(entry_id=ids["credit"], **undo)
    assert database.account(payment.customer_id).balance_minor == 2_500
    request = waiting(utility)
    assert request.summary.startswith("Take a charge of ₹25.00 to House M1, account ")
    assert approve(utility, request, ADMIN).state == "done"
    assert database.account(payment.customer_id).balance_minor == 0


def test_a_limit_is_not_passed_in_parts(utility: Utility) -> None:
    payment = paid(utility, "600.00")
    want(utility, refund_limits={"INR": "50.00"})
    form = str(uuid4())
    for _ in range(2):
        assert refund(utility, payment, CASHIER, amount="30.00", return_id=form).id == form
    with pytest.raises(AwaitsApproval):
        refund(utility, payment, CASHIER, amount="20.01")
    assert waiting(utility).over_limit
    assert payment.customer_id is not None
    out: dict[str, Any] = {"customer_id": payment.customer_id, "method": "cash"}
    out |= {"reference": "", "reason": "asks"}
    with pytest.raises(AwaitsApproval):
        utility.services.refunds.pay_out(amount="20.01", principal=CASHIER, now=utility.now, **out)
    assert refund(utility, payment, CASHIER, amount="20.00").status == "done"
    assert returned(utility, payment) == 5_000


def at_once(*acts: Callable[[], Any]) -> list[object]:
    """What came of acts in the same instant: the answer, or the exception that it raised."""

    def came_of(act: Callable[[], Any]) -> object:
        try:
            return act()
        except Exception as refused:
            return refused

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(came_of, acts))


@pytest.fixture
def asked_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that ask whether they may go on do so before either acts."""
    both = threading.Barrier(2)

    def ask(*given: Any, **more: Any) -> None:
        asking.pass_or_ask(*given, **more)
        both.wait(30)

    for module in (refunds, reversals):
        monkeypatch.setattr(module, "pass_or_ask", ask)


@pytest.mark.usefixtures("asked_together")
@pytest.mark.parametrize("whose", ["asha", "ravi"])
def test_two_in_the_same_instant_do_not_pass_the_limit_together(
    utility: Utility, whose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = paid(utility, "700.00")
    want(utility, refund_limits={"INR": "50.00"})
    other = replace(CASHIER, user=whose)
    form = str(uuid4())
    came = at_once(
        lambda: refund(utility, payment, CASHIER, amount="30.00"),
        lambda: utility.services.refunds.pay_out(
            customer_id=str(payment.customer_id),
            amount="30.00",
            method="cash",
            reference="",
            reason="asks",
            principal=other,
            now=utility.now,
            return_id=form,
        ),
    )
    (refused,) = [one for one in came if isinstance(one, Exception)]
    assert isinstance(refused, IllegalChange)
    assert "ask for it again" in str(refused)
    monkeypatch.undo()
    with pytest.raises(AwaitsApproval):
        refund(utility, payment, other, amount="30.00")
    assert waiting(utility).over_limit


@pytest.mark.usefixtures("asked_together")
def test_who_may_pass_the_limit_passes_it_in_the_same_instant_too(utility: Utility) -> None:
    payment = paid(utility, "600.00")
    want(utility, refund_limits={"INR": "50.00"})
    act = lambda: refund(utility, payment, MANAGER, amount="30.00")  # noqa: E731
    assert [one.status for one in at_once(act, act)] == ["done", "done"]  # type: ignore[attr-defined]


def test_two_requests_below_the_limit_do_not_pass_it_together(utility: Utility) -> None:
    payment = paid(utility, "600.00")
    want(utility, four_eyes=["refunds"], refund_limits={"INR": "50.00"})
    for _ in range(2):
        with pytest.raises(AwaitsApproval):
            refund(utility, payment, CASHIER, amount="30.00")
    second, first = utility.services.database.approvals(waiting=True).items
    assert (first.over_limit, second.over_limit) == (False, False)
    another = replace(CASHIER, user="ravi")
    assert approve(utility, first, another).state == "done"
    failed = approve(utility, second, another)
    assert failed.state == "failed"
    assert "limit" in failed.outcome
    assert returned(utility, payment) == 3_000
    with pytest.raises(AwaitsApproval):
        refund(utility, payment, CASHIER, amount="30.00")
    assert approve(utility, waiting(utility)).state == "done"
    assert returned(utility, payment) == 6_000


def doing_together(utility: Utility, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that approve are both about to act before either does."""
    actions, both = utility.services.approvals.actions, threading.Barrier(2)

    def waiting_for_the_other(act: Action) -> Action:
        def acted(*given: Any) -> object:
            with suppress(threading.BrokenBarrierError):
                both.wait(2)
            return act(*given)

        return acted

    for kind, act in list(actions.items()):
        monkeypatch.setitem(actions, kind, waiting_for_the_other(act))


@pytest.mark.parametrize("second", ["boss", "another"])
def test_one_request_approved_twice_in_the_same_instant_is_done_once(
    utility: Utility, second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = paid(utility)
    want(utility, four_eyes=["refunds"])
    with pytest.raises(AwaitsApproval):
        refund(utility, payment, CASHIER)
    request = waiting(utility)
    doing_together(utility, monkeypatch)
    came = at_once(
        lambda: approve(utility, request).state,
        lambda: approve(utility, request, replace(MANAGER, user=second)).state,
    )
    assert "done" in came
    assert "failed" not in came
    assert returned(utility, payment) == 4_000
    assert utility.services.database.approval(request.id).state == "done"


def test_one_void_approved_in_two_tabs_is_done_once_and_said_so(
    utility: Utility, monkeypatch: pytest.MonkeyPatch
) -> None:
    utility.add_meter("M1")
    bill = utility.submit("M1", 1117).bill
    assert bill is not None
    want(utility, four_eyes=["voids"])
    rebilling = utility.services.rebilling
    plan = rebilling.plan(WrongBill(bill.id), now=utility.now)
    with pytest.raises(AwaitsApproval):
        rebilling.execute(
            WrongBill(bill.id),
            previewed=plan.fingerprint,
            correction_id=str(uuid4()),
            reason="nobody lived there",
            acknowledged=True,
            principal=MANAGER,
            now=utility.now,
        )
    request = waiting(utility)
    doing_together(utility, monkeypatch)
    act = lambda: approve(utility, request, ADMIN).state  # noqa: E731
    assert at_once(act, act) == ["done", "done"]
    assert utility.services.database.bill(bill.id).status == "void"
    assert utility.services.database.approval(request.id).state == "done"
