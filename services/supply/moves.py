"""Moving in and out, another tariff, and connecting a new customer."""

from datetime import timedelta
from typing import Any

from services.database.errors import NotFound
from services.importing.report import ImportProblem
from services.importing.rows import customer_row, meter_row
from services.importing.table import Cells
from services.languages.sentence import N_, sentence
from services.quantities.period import local_date
from services.quantities.typed import plain_kwh
from services.records.ledger import Account
from services.records.supply import ServiceAgreement
from services.supply.changes import (
    CannotChangeSupply,
    Connect,
    MoveIn,
    MoveOut,
    OtherTariff,
    Stay,
)
from services.supply.deposits import deposit_row
from services.supply.plan import SupplyPlan, doubts_of
from services.supply.planning import Planning, since_of


def plan_move_out(change: MoveOut, planning: Planning) -> SupplyPlan:
    """The final read, the final bill, and what ran beyond that day."""
    place = planning.place(change.service_point_id, on=change.on)
    agreement = planning.agreement_of(place, on=change.on)
    read = planning.read_of(place, planning.meter_of(place), change.on, change.read)
    chain = planning.chain(agreement, since=change.on)
    drafts = [b for b in chain.bills if b.status == "draft" and b.period_end <= change.on]
    if drafts:
        raise CannotChangeSupply(
            sentence(
                "A draft bill of this agreement waits for approval: issue it or send it back first."
            )
        )
    changes, bills = planning.bills_until(chain, read.read)
    rows: dict[str, Any] = {
        "service_point_id": place.point.id,
        "effective_on": change.on.isoformat(),
        "readings": [read.row] if read.row else [],
        "end": {"ends_on": change.on.isoformat(), "closing_reading_id": read.read.id},
        "details": {"customer": agreement.customer_name, "account_no": agreement.account_no},
    }
    if change.use_deposit:
        rows["deposit_entry_id"] = planning.new_id("deposit")
    return SupplyPlan(
        "move_out",
        rows,
        place=place,
        chain=chain,
        chain_from=since_of(chain, changes),
        changes=changes,
        bills=bills,
        doubts=doubts_of(read.validation),
    )


def plan_move_in(change: MoveIn, planning: Planning) -> SupplyPlan:
    """An agreement that begins at the read of a day."""
    place = planning.place(change.service_point_id, on=change.on)
    _check_vacant(place.agreements, change)
    meter = planning.meter_of(place)
    customer = None if change.customer_id else _new_customer(change, place.point.address, planning)
    if customer is None:
        account = planning.database.account(change.customer_id)
        customer_id, name, account_no = account.id, account.name, account.account_no
        tariff = planning.tariff(change.tariff_code, currency=account.currency)
    else:
        customer_id, name, account_no = (str(customer[key]) for key in ("id", "name", "account_no"))
        tariff = planning.tariff(change.tariff_code, currency=None)
    read = planning.read_of(place, meter, change.on, change.read)
    rows: dict[str, Any] = {
        "service_point_id": place.point.id,
        "effective_on": change.on.isoformat(),
        "readings": [read.row] if read.row else [],
        "customer": customer,
        "start": {
            "id": planning.new_id("agreement"),
            "customer_id": customer_id,
            "starts_on": change.on.isoformat(),
            "opening_reading_id": read.read.id,
            "tariff_id": tariff.tariff_id,
        },
        "details": {"customer": name, "account_no": account_no},
    }
    deposit = deposit_row(change.deposit, currency=tariff.currency, planning=planning)
    return SupplyPlan(
        "move_in", rows, place=place, doubts=doubts_of(read.validation), deposit=deposit
    )


def plan_stay(change: Stay, planning: Planning) -> SupplyPlan:
    """The agreement that ended last goes on, if nobody has moved in since."""
    today = local_date(planning.now, planning.issuer.zone)
    place = planning.place(change.service_point_id, on=today)
    last = place.agreements[0] if place.agreements else None
    if last is None or last.ends_on is None:
        raise CannotChangeSupply(
            sentence("Nobody has moved out of {place} since it was let.", place=place.point.code)
        )
    chain = planning.chain(last, since=last.ends_on)
    rows = {
        "service_point_id": place.point.id,
        "effective_on": last.ends_on.isoformat(),
        "details": {"customer": last.customer_name, "account_no": last.account_no},
    }
    changes = planning.unsettled(chain)
    return SupplyPlan(
        "stay",
        rows,
        place=place,
        chain=chain,
        chain_from=since_of(chain, changes),
        changes=changes,
    )


def plan_tariff(change: OtherTariff, planning: Planning) -> SupplyPlan:
    """Another tariff from a day on; bills that run beyond it are priced again."""
    place = planning.place(change.service_point_id, on=change.on)
    agreement = place.agreement
    if agreement is None or change.on < agreement.starts_on:
        agreement = planning.agreement_of(place, on=change.on)
    tariff = planning.tariff(change.tariff_code, currency=agreement.currency)
    # Back to the bill that ends on the day: it settles what is banked where net metering ends.
    day_before = change.on - timedelta(days=1)
    chain = planning.chain(agreement, since=day_before, tariff_code=tariff.code)
    after = chain.on_tariff(tariff.tariff_id, since=change.on)
    if after.spans == chain.spans:
        raise CannotChangeSupply(
            sentence("It is on tariff {tariff} since then already.", tariff=tariff.code)
        )
    changes = planning.on_other_tariff(chain, after, since=change.on)
    rows = {
        "service_point_id": place.point.id,
        "effective_on": change.on.isoformat(),
        "tariff_id": tariff.tariff_id,
        "details": {
            "tariff": tariff.code,
            # What is there again once this is undone.
            "before": [
                {"starts_on": one.starts_on.isoformat(), "code": one.code}
                for one in agreement.tariffs
            ],
        },
    }
    return SupplyPlan(
        "tariff",
        rows,
        place=place,
        chain=chain,
        chain_from=since_of(chain, changes),
        changes=changes,
    )


def plan_connect(change: Connect, planning: Planning) -> SupplyPlan:
    """Customer, place, agreement, meter and opening read at once, by the rules of imports."""
    planning.reads.check_day(change.on, now=planning.now)
    problems: list[ImportProblem] = []
    values = {
        "account_no": change.account_no.strip(),
        "name": change.name.strip(),
        "email": change.email.strip(),
        "phone": change.phone.strip(),
        "address": change.address.strip(),
        "serial": change.serial.strip(),
        "tariff_code": change.tariff_code,
        "kind": change.kind,
        "dials": str(change.dials),
        "multiplier": change.multiplier.strip(),
        "opening_kwh": plain_kwh(change.read.kwh),
        "opened_on": change.on.isoformat(),
    }
    cells = Cells(1, values, problems)
    meter = meter_row(cells, zone=planning.issuer.zone, now=planning.now)
    customer = None if change.known else customer_row(cells)
    if problems:
        raise CannotChangeSupply(_in_words(problems[0]))
    account = _account(values["account_no"], planning)
    if account is None and change.known:
        raise CannotChangeSupply(
            sentence("No customer has the account number {account}.", account=values["account_no"])
        )
    if account is not None and not change.known:
        raise CannotChangeSupply(
            sentence(
                "Account {account} is that of {customer} already: say that it is known.",
                account=account.account_no,
                customer=account.name,
            )
        )
    if planning.database.meter_reads(serials=[values["serial"]]):
        raise CannotChangeSupply(
            sentence(
                "There is a meter with the serial {meter} already. One that was removed "
                "elsewhere comes here by an exchange.",
                meter=values["serial"],
            )
        )
    tariff = planning.tariff(change.tariff_code, currency=account.currency if account else None)
    if change.on == local_date(planning.now, planning.issuer.zone):
        meter["opened_at"] = planning.now.isoformat()
    rows = {
        "customer": customer,
        "meter": meter,
        "point": {"address": values["address"], "access_note": change.access_note.strip()},
        "effective_on": change.on.isoformat(),
        "details": {
            "customer": account.name if account else values["name"],
            "account_no": values["account_no"],
        },
    }
    deposit = deposit_row(change.deposit, currency=tariff.currency, planning=planning)
    return SupplyPlan("connect", rows, deposit=deposit)


def _account(account_no: str, planning: Planning) -> Account | None:
    try:
        return planning.database.account_numbered(account_no)
    except NotFound:
        return None


def _new_customer(change: MoveIn, address: str, planning: Planning) -> dict[str, Any]:
    problems: list[ImportProblem] = []
    given = {"account_no": change.account_no, "name": change.name, "phone": change.phone}
    given |= {"email": change.email, "address": address}
    values = {column: text.strip() for column, text in given.items()}
    row = customer_row(Cells(1, values, problems))
    if problems:
        raise CannotChangeSupply(_in_words(problems[0]))
    account = _account(values["account_no"], planning)
    if account is not None:
        raise CannotChangeSupply(
            sentence(
                "Account {account} is that of {customer} already: look them up instead.",
                account=account.account_no,
                customer=account.name,
            )
        )
    return row | {"id": planning.new_id("customer")}


def _check_vacant(agreements: tuple[ServiceAgreement, ...], change: MoveIn) -> None:
    for one in agreements:
        if one.ends_on is None:
            raise CannotChangeSupply(
                sentence(
                    "{customer} has had an agreement here since {day}: move them out first.",
                    customer=one.customer_name,
                    day=one.starts_on,
                )
            )
        if change.on < one.ends_on:
            raise CannotChangeSupply(
                sentence(
                    "{customer} was supplied here until {day}: give that day or a later one.",
                    customer=one.customer_name,
                    day=one.ends_on,
                )
            )


_WORDS = {
    "account_no": N_("The account number"),
    "name": N_("The name"),
    "email": N_("The e-mail address"),
    "phone": N_("The phone number"),
    "address": N_("The address"),
    "serial": N_("The meter's serial"),
    "tariff_code": N_("The tariff"),
    "opening_kwh": N_("The opening reading"),
    "opened_on": N_("The day"),
    "dials": N_("The digits"),
    "multiplier": N_("The multiplier"),
    "kind": N_("The kind of meter"),
}


def _in_words(problem: ImportProblem) -> str:
    named = _WORDS.get(problem.column)
    if named is None or problem.message[:1].isupper():
        return problem.message
    return sentence("{place} {why}", place=sentence(named), why=problem.message)
