"""A deposit that is taken as somebody is connected or moves in."""

from typing import Any

from services.payments.entry_forms import (
    PaymentEntry,
    amount_above_zero,
    check_received_on,
    check_reference,
    parse_entry,
)
from services.quantities.period import local_date
from services.supply.changes import Deposit
from services.supply.planning import Planning


def deposit_row(deposit: Deposit, *, currency: str, planning: Planning) -> dict[str, Any] | None:
    """The payment as it is stored, received today; None where no amount was typed.

    Raises InvalidEntry with a sentence for whoever typed it.
    """
    if not deposit.amount.strip():
        return None
    today = local_date(planning.now, planning.issuer.zone)
    body = {"amount": deposit.amount, "method": deposit.method, "reference": deposit.reference}
    entry = parse_entry(PaymentEntry, {**body, "received_on": today})
    amount = amount_above_zero(entry.amount, currency=currency)
    check_received_on(today, today=today)
    check_reference(entry.method, entry.reference)
    return {
        "id": planning.new_id("deposit-taken"),
        "amount_minor": amount.minor,
        "currency": currency,
        "method": entry.method,
        "reference": entry.reference,
        "received_at": planning.now.isoformat(),
        "received_on": today.isoformat(),
    }
