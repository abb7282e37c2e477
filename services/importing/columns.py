"""Which column of a file is meant by which of ours: by name, by usual names, or as was said once.

Names are compared without case, blanks, underscores and signs: "Account No." is account_no.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

# What a mapping says of a column that is to be left out.
LEFT_OUT: Final = ""
# How owners call these columns; compared by their `heading_key`.
_USUAL: Final[Mapping[str, str]] = {
    "account_no": "account, account number, account code, account id, acct, acct no, a/c no, "
    "customer no, customer number, customer id, customer code, consumer no, consumer number, "
    "consumer id, client no, client number, client id, service no",
    "name": "customer name, customer, consumer name, consumer, client name, client, full name, "
    "account name, account holder, name of customer, name of consumer",
    "email": "e-mail, email address, e-mail address, mail",
    "phone": "telephone, phone number, phone no, telephone number, telephone no, tel, tel no, "
    "mobile, mobile number, mobile no, mobile phone, cell, cell phone, contact number, contact no",
    "address": "postal address, street address, service address, billing address, address line",
    "currency": "currency code",
    "language": "preferred language, language code",
    "tax_number": "vat number, vat no, vat id, gstin, gst number, gst no, tax id, tax no, tin",
    "whatsapp_opt_in": "whatsapp, whatsapp consent",
    "serial": "meter serial, meter serial no, meter serial number, serial no, serial number, "
    "meter no, meter number, meter id, meter",
    "meter_serial": "serial, meter serial no, meter serial number, serial no, serial number, "
    "meter no, meter number, meter id, meter",
    "tariff_code": "tariff, tariff class, tariff category, rate, rate code, rate class, category",
    "kind": "type, meter type, meter kind",
    "dials": "digits, number of digits, number of dials, no of dials, register digits",
    "multiplier": "multiplying factor, mf, factor, meter factor, ct ratio, meter multiplier",
    "opening_kwh": "opening reading, opening read, initial reading, initial read, start reading, "
    "opening, opening reading kwh",
    "opened_on": "opening date, installed on, installation date, install date, connected on, "
    "connection date, start date, date installed",
    "transformer_code": "transformer, transformer no, transformer id, dt code, dtr code",
    "transformer_since": "transformer since, transformer from, on transformer since",
    "service_point": "service point code, place, place code, premise, premises, premise no, "
    "point of supply, connection point",
    "route": "round, walk, reading route, route code, book, book no",
    "sequence": "route sequence, position, order, walk order",
    "phases": "phase, number of phases, no of phases",
    "access_note": "access, note, remarks, remark, how to get in",
    "starts_on": "start, start date, from, begins on, valid from, moved in, move in date",
    "ends_on": "end, end date, to, until, valid to, moved out, move out date",
    "deposit": "security deposit, deposit held",
    "balance": "opening balance, amount due, amount owed, outstanding, outstanding amount, "
    "arrears, due, balance due, closing balance",
    "as_of": "as at, date, balance date, on",
    "amount": "paid, amount paid, payment, payment amount, value, received",
    "received_on": "date, paid on, payment date, date paid, received, date received, value date",
    "method": "payment method, mode, payment mode, paid by",
    "reference": "ref, reference no, reference number, invoice, invoice no, invoice number, "
    "bill no, receipt, receipt no, receipt number, description, narration, "
    "details, particulars, remittance information, purpose, text, transaction details",
    "booked_on": "date, booking date, booked, posting date, posted on, transaction date, "
    "entry date, value date, txn date, tran date",
    "credit": "credit amount, deposits, deposit, money in, paid in, cr, deposit amount",
    "debit": "debit amount, withdrawals, withdrawal, money out, paid out, dr, withdrawal amount",
    "payer": "name, counterparty, payer name, sender, remitter, from, counterparty name",
    "bank_reference": "transaction id, txn id, transaction reference, entry reference, utr, "
    "utr no, bank ref, bank reference no, entry id",
    "account": "iban, own account, account number, account no, account iban",
    "tariff_from": "tariff start, tariff since",
    "connected_kw": "connected load, connected load kw, sanctioned load, load kw",
    "connected_kva": "connected load kva, load kva",
    "reading_kwh": "reading, read, kwh, meter reading, current reading, present reading, value, "
    "register value, closing reading",
    "read_at": "reading date, read date, date, date of reading, read on, date read, timestamp, "
    "date time, reading time",
    "start": "interval start, start time, timestamp, time, date time, from",
    "kwh": "energy, energy kwh, consumption, usage, usage kwh, value",
    "minutes": "interval minutes, interval, interval length",
    "code": "service point, place, place code, premise, premises, premise no, "
    "transformer code, transformer, transformer no, transformer id, dt code, dtr code",
    "feeder_code": "feeder, feeder no, feeder id",
    "feeder_name": "name of feeder",
    "rated_kva": "kva, rating, rating kva, capacity, capacity kva, rated capacity",
    "period_start": "from, start, start date, period from",
    "period_end": "to, end, end date, period to",
    "energy_kwh": "energy, kwh, energy supplied, input kwh",
}


def heading_key(heading: str) -> str:
    """What two headings have in common that are written in another way: letters and digits."""
    folded = unicodedata.normalize("NFKD", heading).casefold()
    return "".join(sign for sign in folded if sign.isalnum())


_USUAL_KEYS: Final[Mapping[str, frozenset[str]]] = {
    field: frozenset(heading_key(name) for name in names.split(","))
    for field, names in _USUAL.items()
}


@dataclass(frozen=True, slots=True)
class WantedColumns:
    """The columns that a kind of import takes, and what people said of headings of their own.

    `said` has a field, or LEFT_OUT, by `heading_key`. `prefix` begins the names of further columns,
    such as register:.
    """

    required: Sequence[str]
    optional: Sequence[str] = ()
    prefix: str | None = None
    said: Mapping[str, str] | None = None

    def fields_of(self, headings: Sequence[str]) -> list[str | None]:
        """The field of each heading, None where none is meant; what was said comes first.

        A field stands twice only where two headings name it outright, which the caller refuses.
        """
        found: list[str | None] = [self._named(heading) for heading in headings]
        taken = {field for field in found if field}
        for position, heading in enumerate(headings):
            if found[position] is None and (field := self._usual(heading, taken)):
                found[position] = field
                taken.add(field)
        return [field or None for field in found]

    def _named(self, heading: str) -> str | None:
        """The field, LEFT_OUT, or None where the heading does not say."""
        key = heading_key(heading)
        if self.said and key in self.said:
            return self.said[key]
        plain = heading.strip().lower()
        if self.prefix is not None and plain.startswith(self.prefix):
            return plain
        return next((f for f in (*self.required, *self.optional) if heading_key(f) == key), None)

    def _usual(self, heading: str, taken: set[str]) -> str | None:
        key = heading_key(heading)
        fields = (f for f in (*self.required, *self.optional) if f not in taken)
        return next((f for f in fields if key in _USUAL_KEYS.get(f, ())), None)
