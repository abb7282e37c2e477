"""What the office calls the kinds of imports and their columns."""

from collections.abc import Mapping
from typing import Final

from services.importing.kinds import TableKind

# In the order in which they are brought in.
KINDS: Final[Mapping[TableKind, str]] = {
    "customers": "Customers",
    "transformers": "Transformers and feeders",
    "service_points": "Service points",
    "meters": "Meters",
    "readings": "Readings",
    "agreements": "Service agreements",
    "balances": "Opening balances",
    "past_payments": "Payments of the past",
    "bank_statements": "Bank statement",
    "intervals": "Interval data",
    "supplies": "Energy into transformers",
}
_FIELDS: Final[Mapping[str, str]] = {
    "account_no": "Account number",
    "email": "E-mail",
    "whatsapp_opt_in": "WhatsApp consent",
    "discord_webhook": "Discord webhook",
    "serial": "Meter serial",
    "meter_serial": "Meter serial",
    "kind": "Kind (manual or smart)",
    "dials": "Dials (whole kWh digits)",
    "opening_kwh": "Opening reading (kWh)",
    "opened_on": "Opening date",
    "registers": "Further registers",
    "connected_kw": "Connected load (kW)",
    "connected_kva": "Connected load (kVA)",
    "reading_kwh": "Reading (kWh)",
    "read_at": "Reading date",
    "kwh": "Energy (kWh)",
    "energy_kwh": "Energy (kWh)",
    "rated_kva": "Rating (kVA)",
    "start": "Start of the interval",
    "minutes": "Minutes of an interval",
    "quality": "Quality (ESPI code)",
    "read_source": "Who or what read it (field, smart, customer, …)",
    "opening_quality": "Quality of the opening reading (ESPI code)",
    "opening_source": "Who or what read the opening reading",
    "code": "Code",
    "service_point": "Service point",
    "phases": "Phases (1 to 3)",
    "starts_on": "Supplied from",
    "ends_on": "Supplied until (first day that is not)",
    "booked_on": "Booked on",
    "reference": "Reference",
    "amount": "Amount",
    "credit": "Money in",
    "debit": "Money out",
    "bank_reference": "Bank's own reference",
    "account": "Bank account",
    "balance": "Balance (above 0 is owed)",
    "as_of": "As of",
    "received_on": "Received on",
    "deposit": "Deposit held",
    "billing_day": "Billing day (1 to 28)",
    "tariff_from": "Tariff from (where it is not the first)",
    "banked_kwh": "Banked kWh (net metering)",
    "tariff_id": "Tariff",
    "transformer_id": "Transformer",
    "feeder_id": "Feeder",
    "connected_w": "Connected load (W)",
    "connected_va": "Connected load (VA)",
}


def field_name(field: str) -> str:
    """A column of ours, or a field of the database, as people call it."""
    return _FIELDS.get(field) or field.replace("_", " ").capitalize()
