"""The JSON of the HTTP API: pure functions from records to objects of strings.

Amounts and energies are decimal strings, dates ISO 8601, instants ISO 8601 in UTC ending in "Z".
"""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, Final

from services.languages.language import Language
from services.metering.interval_quality import interval_quality_of
from services.outbox.steps import StepOutcome
from services.quantities.energy import format_kwh
from services.quantities.money import Money, scaled_text
from services.quantities.quality import Quality
from services.rating import BillLine, NetBill, RatedBill
from services.readings.reading_to_bill import Submitted
from services.records.bills import Bill, BillSegment
from services.records.customers.autopay import AutopayOfCustomer, Charge
from services.records.documents.credit_notes import CreditNote
from services.records.documents.taxes import TaxAtRate, taxes_by_rate
from services.records.jobs import JobRun, SchedulerStatus
from services.records.readings import Reading, ReadingSource

Json = dict[str, Any]
_KINDS: Final[dict[ReadingSource, str]] = {
    "field": "actual",
    "smart": "actual",
    "imported": "actual",
    "customer": "customer",
    "estimated": "estimated",
}


def submitted_json(submitted: Submitted) -> Json:
    """The answer to a submitted reading; `bill` is null when there is none.

    `bills` are all that the reading brought, in order; `bill` is the last of them.
    """
    bills = [*submitted.earlier, *([submitted.bill] if submitted.bill else [])]
    return {
        "reading": reading_json(submitted.reading),
        "validation": validation_json(submitted.reading),
        "bill": bill_json(submitted.bill) if submitted.bill else None,
        "bills": [bill_json(bill) for bill in bills],
        "steps": [step_json(outcome) for outcome in submitted.steps],
        "explanation": submitted.explanation,
    }


def said_to_a_page(submitted: Json, language: Language) -> Json:
    """`submitted_json` with what a page shows of it in its language; programs get English."""
    found = submitted["validation"]
    rules = [{**rule, "message": language.say(rule["message"])} for rule in found["rules"]]
    explanation = language.say(submitted["explanation"])
    return {
        **submitted,
        "explanation": explanation,
        "validation": {**found, "rules": rules},
    }


def reading_json(reading: Reading) -> Json:
    """A reading; `reading_kwh` and `registers` are what the meter shows, before the multiplier."""
    return {
        "id": reading.id,
        "meter_serial": reading.meter_serial,
        "reading_kwh": format_kwh(reading.register_wh),
        "registers": {name: format_kwh(value) for name, value in reading.registers.items()},
        "read_at": instant_text(reading.read_at),
        "status": reading.status,
        "source": reading.source,
        "quality": quality_json(reading.quality),
    }


def quality_json(quality: Quality) -> Json:
    """How sure a reading is: its code of ESPI (QualityOfReading), and what that says."""
    return {"code": int(quality), "name": quality.words}


def validation_json(reading: Reading) -> Json:
    """What the rules found, and AI beside them (null where it was not asked).

    `verdict` is null for a reading that no rule has looked at.
    """
    found = reading.validation
    return {
        "verdict": found.get("verdict"),
        "rules": found.get("rules", []),
        "ai": found.get("ai"),
    }


def step_json(outcome: StepOutcome) -> Json:
    """One of the thirteen steps."""
    return {
        "step": outcome.step,
        "name": outcome.name,
        "status": outcome.status,
        "detail": outcome.detail,
    }


def bill_json(bill: Bill) -> Json:
    """A bill with its lines; `number` is its reference, or null for a draft.

    Its meter, reads and multiplier are those of the last of its `segments`.
    """
    return {
        "id": bill.id,
        "number": bill.reference if bill.number is not None else None,
        "customer_id": bill.customer_id,
        "account_no": bill.account_no,
        "service_point": {"code": bill.service_point_code, "address": bill.service_address},
        "meter_serial": bill.meter_serial,
        "tariff_code": bill.tariff_code,
        "period_start": bill.period_start.isoformat(),
        "period_end": bill.period_end.isoformat(),
        "opening_kwh": format_kwh(bill.opening_wh),
        "closing_kwh": format_kwh(bill.closing_wh),
        "opening_read": _KINDS[bill.opening_source],
        "closing_read": _KINDS[bill.closing_source],
        "opening_quality": quality_json(bill.opening_quality),
        "closing_quality": quality_json(bill.closing_quality),
        "estimated": bill.is_estimated,
        "settles_since": _date_text(bill.settles_since),
        "interval_quality": interval_quality_json(bill),
        "multiplier": scaled_text(bill.multiplier_milli, places=3, trim=True),
        "consumption_kwh": format_kwh(bill.consumption_wh),
        "segments": [_segment_json(one) for one in bill.metered],
        "currency": bill.currency,
        "subtotal": bill.money(bill.subtotal_minor).text,
        "tax": bill.money(bill.tax_minor).text,
        "total": bill.money(bill.total_minor).text,
        "amount_paid": bill.money(bill.amount_paid_minor).text,
        "balance": bill.money(bill.balance_minor).text,
        "status": bill.status,
        "issued_at": instant_text(bill.issued_at) if bill.issued_at else None,
        "due_date": _date_text(bill.due_date),
        "payment_url": bill.payment_url,
        "lines": [line_json(line, bill.money) for line in bill.lines],
        "taxes": [tax_json(tax, bill.money) for tax in taxes_by_rate(bill.lines)],
    } | ({"net_metering": net_json(bill.net)} if bill.net else {})


def tax_json(tax: TaxAtRate, money: Callable[[int], Money]) -> Json:
    """A tax at a rate; `base` is money where the unit is %, and null of what was billed before."""
    return {
        "code": tax.code,
        "description": tax.description,
        "base": tax.base or None,
        "unit": tax.unit,
        "rate": tax.rate,
        "amount": money(tax.amount_minor).text,
    }


def credit_note_json(note: CreditNote) -> Json:
    """A credit note; amounts above 0 are in the customer's favour."""
    return {
        "id": note.id,
        "number": note.reference,
        "date": note.on_date.isoformat(),
        "reason": note.reason,
        "bill": {"id": note.bill_id, "number": note.bill_reference},
        "replaced_by": note.replaced_by_id,
        "customer_id": note.customer_id,
        "account_no": note.account_no,
        "tax_number": note.tax_number,
        "currency": note.currency,
        "subtotal": note.money(note.subtotal_minor).text,
        "tax": note.money(note.tax_minor).text,
        "total": note.money(note.total_minor).text,
    }


def interval_quality_json(bill: Bill) -> Json | None:
    """Of the intervals that a bill rests on, how many were not simply measured; null without any.

    `by_quality` has the codes of ESPI (QualityOfReading).
    """
    quality = interval_quality_of(bill.usage)
    if quality is None:
        return None
    return {
        "minutes": quality.minutes,
        "intervals": quality.intervals,
        "estimated": quality.estimated,
        "substituted": quality.other,
        "by_quality": {str(int(code)): n for code, n in quality.unsure.items()},
    }


def net_json(net: NetBill) -> Json:
    """What was imported, exported, billed and banked in kWh; a bank's period null for all hours."""
    of_all = net.in_all()
    return {
        "imported_kwh": format_kwh(of_all.imported),
        "exported_kwh": format_kwh(of_all.exported),
        "netted_kwh": format_kwh(of_all.netted),
        "surplus": "paid" if net.is_paid else "lapses",
        "banks": [
            {
                "period": name or None,
                "opening_kwh": format_kwh(bank.opening),
                "added_kwh": format_kwh(bank.added),
                "used_kwh": format_kwh(bank.used),
                "moved_kwh": format_kwh(bank.moved),
                "settled_kwh": format_kwh(bank.settled),
                "closing_kwh": format_kwh(bank.closing),
            }
            for name, bank in net.banks.items()
        ],
    }


def _segment_json(one: BillSegment) -> Json:
    """What one meter measured: its reads before the multiplier, its consumption after."""
    return {
        "meter_serial": one.meter_serial,
        "opening_read_on": one.opened_on.isoformat(),
        "closing_read_on": one.closed_on.isoformat(),
        "opening_kwh": format_kwh(one.opening_wh),
        "closing_kwh": format_kwh(one.closing_wh),
        "opening_quality": quality_json(one.opening_quality),
        "closing_quality": quality_json(one.closing_quality),
        "multiplier": scaled_text(one.multiplier_milli, places=3, trim=True),
        "consumption_kwh": format_kwh(one.consumption_wh),
    }


def bill_answer_json(bill: Bill, *, overdue_as_of: date | None) -> Json:
    """A bill, with the day as of which bills are marked overdue."""
    return bill_json(bill) | {"overdue_as_of": _date_text(overdue_as_of)}


def bill_page_json(bills: list[Bill], *, after: str | None, overdue_as_of: date | None) -> Json:
    """Some bills of a customer; `next` goes into `after` for those that follow, null at the end."""
    found = {"bills": [bill_json(bill) for bill in bills], "next": after}
    return found | {"overdue_as_of": _date_text(overdue_as_of)}


def autopay_json(found: AutopayOfCustomer) -> Json:
    """How a customer's autopay stands: "none" where it was never set up; the last charges."""
    mandate = found.mandate
    shown: Json = {"status": mandate.status if mandate else "none"}
    shown["method"] = mandate.method if mandate and mandate.runs else None
    shown["limit"] = mandate.limit.text if mandate and mandate.limit else None
    return shown | {"charges": [_charge_json(charge) for charge in found.charges]}


def _charge_json(charge: Charge) -> Json:
    return {
        "id": charge.id,
        "status": charge.status,
        "bill": charge.reference,
        "due_date": charge.due_on.isoformat(),
        "charge_on": charge.charge_on.isoformat(),
        "amount": charge.amount.text,
        "currency": charge.currency,
        "attempts": charge.attempts,
        "code": charge.code,
        "detail": charge.detail,
    }


def instant_text(moment: datetime) -> str:
    """ "2026-03-01T05:00:00Z"."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _date_text(day: date | None) -> str | None:
    return day.isoformat() if day else None


def line_json(line: BillLine, money: Callable[[int], Money]) -> Json:
    """A line; `note` where there is one, the days where the bill has parts.

    With `billed_before` it takes off what an earlier bill of those days charged.
    """
    shown: Json = {
        "code": line.code,
        "description": line.description,
        "quantity": line.quantity,
        "unit": line.unit,
        "rate": line.rate,
        "amount": money(line.amount_minor).text,
    }
    if line.note is not None:
        shown["note"] = line.note
    if line.part is not None:
        shown["period_start"] = line.part.start.isoformat()
        shown["period_end"] = line.part.end.isoformat()
    if line.billed_before:
        shown["billed_before"] = True
    return shown


def rated_json(rated: RatedBill, net: NetBill | None) -> Json:
    """A bill that was priced and not stored: its lines and sums, and its banks of kWh if any."""

    def money(minor: int) -> Money:
        return Money(minor, rated.currency)

    return {
        "lines": [line_json(line, money) for line in rated.lines],
        "subtotal": money(rated.subtotal_minor).text,
        "tax": money(rated.tax_minor).text,
        "total": money(rated.total_minor).text,
        "currency": rated.currency,
    } | ({"net_metering": net_json(net)} if net else {})


def scheduler_json(status: SchedulerStatus) -> Json:
    """Whether the jobs run, and of each its cron, next time and last run, in ISO 8601."""
    return {
        "running": status.running,
        "held": status.held,
        "jobs": [
            {
                "id": job.id,
                "cron": job.cron,
                "next_run_at": job.next_run_at.isoformat(),
                "last_run": _run_json(job.last_run) if job.last_run else None,
            }
            for job in status.jobs
        ],
    }


def _run_json(run: JobRun) -> Json:
    return {
        "scheduled_on": run.scheduled_on.isoformat(),
        "status": run.status,
        "attempt": run.attempt,
        "started_at": run.started_at.isoformat(),
        "finished_at": run.finished_at.isoformat() if run.finished_at else None,
        "done": run.done_count,
        "set_aside": run.failed_count,
        "detail": run.detail,
    }
