"""What the office calls the kinds of imports and their columns."""

from collections.abc import Mapping
from typing import Final

from pages.languages.words import Said
from services.importing.kinds import TableKind
from services.languages.sentence import N_

# In the order in which they are brought in.
KINDS: Final[Mapping[TableKind, str]] = Said(
    {
        "customers": N_("Customers"),
        "transformers": N_("Transformers and feeders"),
        "service_points": N_("Service points"),
        "meters": N_("Meters"),
        "readings": N_("Readings"),
        "agreements": N_("Service agreements"),
        "balances": N_("Opening balances"),
        "past_payments": N_("Payments of the past"),
        "bank_statements": N_("Bank statement"),
        "intervals": N_("Interval data"),
        "supplies": N_("Energy into transformers"),
    }
)
_FIELDS: Final[Mapping[str, str]] = Said(
    {
        "account_no": N_("Account number"),
        "email": N_("E-mail"),
        "whatsapp_opt_in": N_("WhatsApp consent"),
        "discord_webhook": N_("Discord webhook"),
        "serial": N_("Meter serial"),
        "meter_serial": N_("Meter serial"),
        "kind": N_("Kind (manual or smart)"),
        "dials": N_("Dials (whole kWh digits)"),
        "opening_kwh": N_("Opening reading (kWh)"),
        "opened_on": N_("Opening date"),
        "registers": N_("Further registers"),
        "connected_kw": N_("Connected load (kW)"),
        "connected_kva": N_("Connected load (kVA)"),
        "reading_kwh": N_("Reading (kWh)"),
        "read_at": N_("Reading date"),
        "kwh": N_("Energy (kWh)"),
        "energy_kwh": N_("Energy (kWh)"),
        "rated_kva": N_("Rating (kVA)"),
        "start": N_("Start of the interval"),
        "minutes": N_("Minutes of an interval"),
        "quality": N_("Quality (ESPI code)"),
        "read_source": N_("Who or what read it (field, smart, customer, …)"),
        "opening_quality": N_("Quality of the opening reading (ESPI code)"),
        "opening_source": N_("Who or what read the opening reading"),
        "code": N_("Code"),
        "service_point": N_("Service point"),
        "phases": N_("Phases (1 to 3)"),
        "starts_on": N_("Supplied from"),
        "ends_on": N_("Supplied until (first day that is not)"),
        "booked_on": N_("Booked on"),
        "reference": N_("Reference"),
        "amount": N_("Amount"),
        "credit": N_("Money in"),
        "debit": N_("Money out"),
        "bank_reference": N_("Bank's own reference"),
        "account": N_("Bank account"),
        "balance": N_("Balance (above 0 is owed)"),
        "as_of": N_("As of"),
        "received_on": N_("Received on"),
        "deposit": N_("Deposit held"),
        "billing_day": N_("Billing day (1 to 28)"),
        "tariff_from": N_("Tariff from (where it is not the first)"),
        "banked_kwh": N_("Banked kWh (net metering)"),
        "tariff_id": N_("Tariff"),
        "transformer_id": N_("Transformer"),
        "feeder_id": N_("Feeder"),
        "connected_w": N_("Connected load (W)"),
        "connected_va": N_("Connected load (VA)"),
        "access_note": N_("Access note"),
        "address": N_("Address"),
        "correction": N_("Correction"),
        "currency": N_("Currency"),
        "feeder_code": N_("Feeder code"),
        "feeder_name": N_("Feeder name"),
        "language": N_("Language"),
        "method": N_("Method"),
        "multiplier": N_("Multiplier"),
        "name": N_("Name"),
        "payer": N_("Payer"),
        "period_end": N_("Period end"),
        "period_start": N_("Period start"),
        "phone": N_("Phone"),
        "route": N_("Route"),
        "sequence": N_("Sequence"),
        "tariff_code": N_("Tariff code"),
        "tax_number": N_("Tax number"),
        "transformer_code": N_("Transformer code"),
    }
)


def field_name(field: str) -> str:
    """A column of ours, or a field of the database, as people call it."""
    if field in _FIELDS:
        return _FIELDS[field]
    return field.replace("_", " ").capitalize()
