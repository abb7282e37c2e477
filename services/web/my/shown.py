"""What a customer looks at: the account, bills, payments, use."""

from dataclasses import dataclass
from datetime import date, timedelta

from flask import Flask, Response, request

from services.accounts.statements import NoStatement
from services.bill_documents import MissingLetters
from services.bill_documents.archive import ArchiveDamaged
from services.customer_page.lookups import PageLookups
from services.customer_page.paying import said_of_payment
from services.customer_page.visits import confirmed
from services.history.terms import METHOD
from services.languages.sentence import N_, sentence, sentence_of
from services.payments.receipts import receipt_number
from services.people.customer_links import PATH
from services.quantities.period import first_of_month
from services.records.documents.taxes import taxes_by_rate
from services.web.my.chart import usage_chart
from services.web.my.rendering import NOTHING, Said, pdf, style
from services.web.my.site import Site

_NO_PDF = Said(N_("This document cannot be made just now. Call or visit us for it."), 503)
_NO_DAYS = Said(N_("Say from which day to which day."), 422)
_MOST_PAGES = 500


@dataclass(frozen=True)
class ShownRoutes:
    """The pages that change nothing."""

    site: Site

    def add_to(self, app: Flask) -> None:
        """Add the addresses to the app."""
        add = self.site.add
        add(app, PATH, self.home)
        add(app, f"{PATH}/my.css", style)
        add(app, f"{PATH}/bills", self.bills)
        add(app, f"{PATH}/bills/<bill_id>", self.bill)
        add(app, f"{PATH}/bills/<bill_id>/pdf", self.bill_pdf)
        add(app, f"{PATH}/bills/<bill_id>/credit-note", self.credit_note)
        add(app, f"{PATH}/statement", self.statement)
        add(app, f"{PATH}/statement/pdf", self.statement_pdf)
        add(app, f"{PATH}/payments", self.payments)
        add(app, f"{PATH}/payments/<payment_id>", self.payment)
        add(app, f"{PATH}/payments/<payment_id>/pdf", self.receipt)
        add(app, f"{PATH}/usage", self.usage)

    def home(self) -> Response:
        """GET /my: the balance, and what is to pay."""
        visit = self.site.visit()
        home = self._lookups.home(visit)
        charges = self.site.services.customer_page.paying.autopay(visit).charges
        return self.site.page(
            "home.html",
            N_("Your account"),
            home=home,
            currency=home.account.currency or self.site.services.settings.currency,
            to_confirm=[charge for charge in charges if charge.confirm_id],
        )

    def bills(self) -> Response:
        """GET /my/bills?after: the last period first."""
        bills, after = self._lookups.bills(self.site.visit(), after=request.args.get("after"))
        return self.site.page("bills.html", N_("Your bills"), bills=bills, after=after)

    def bill(self, bill_id: str) -> Response:
        """GET /my/bills/<id>; ?from= of who comes back from paying it."""
        shown = self._lookups.bill(self.site.visit(), bill_id)
        came_from, said = request.args.get("from", ""), NOTHING
        if came_from in {"paid", "cancelled"}:
            said = Said(said_of_payment(shown.bill, came_from))
        title = sentence("Bill {reference}", reference=shown.bill.reference)
        names = self._lookups.charge_names(shown.bill, self.site.language().tag)
        return self.site.page(
            "bill.html",
            title,
            said,
            shown=shown,
            bill=shown.bill,
            taxes=taxes_by_rate(shown.bill.lines),
            names=names,
        )

    def bill_pdf(self, bill_id: str) -> Response:
        """GET /my/bills/<id>/pdf."""
        try:
            return pdf(*self._lookups.bill_pdf(self.site.visit(), bill_id))
        except (MissingLetters, ArchiveDamaged):
            return self.site.page("message.html", N_("No document"), _NO_PDF)

    def credit_note(self, bill_id: str) -> Response:
        """GET /my/bills/<id>/credit-note: the document that takes a void bill back."""
        try:
            return pdf(*self._lookups.credit_note_pdf(self.site.visit(), bill_id))
        except (MissingLetters, ArchiveDamaged):
            return self.site.page("message.html", N_("No document"), _NO_PDF)

    def statement(self) -> Response:
        """GET /my/statement: which days it is to be of."""
        confirmed(self.site.visit())
        return self._ask_days(NOTHING)

    def statement_pdf(self) -> Response:
        """GET /my/statement/pdf?from&to: local dates, the last one among them."""
        visit = confirmed(self.site.visit())
        try:
            start = date.fromisoformat(request.args.get("from", ""))
            end = date.fromisoformat(request.args.get("to", "")) + timedelta(days=1)
        except (ValueError, OverflowError):
            return self._ask_days(_NO_DAYS)
        try:
            return pdf(*self._lookups.statement_pdf(visit, start=start, end=end))
        except NoStatement as error:
            return self._ask_days(Said(sentence_of(error), 422))
        except MissingLetters:
            return self.site.page("message.html", N_("No document"), _NO_PDF)

    def _ask_days(self, said: Said) -> Response:
        first = first_of_month(first_of_month(self.site.today) - timedelta(days=1))
        return self.site.page("statement.html", N_("Statement of account"), said, first=first)

    def payments(self) -> Response:
        """GET /my/payments?page: the last received first."""
        text = request.args.get("page", "1")
        page = min(int(text), _MOST_PAGES) if text.isdecimal() and len(text) < 5 else 1
        found = self._lookups.payments(self.site.visit(), page=max(page, 1))
        return self.site.page(
            "payments.html", N_("Your payments"), found=found, page=max(page, 1), methods=METHOD
        )

    def payment(self, payment_id: str) -> Response:
        """GET /my/payments/<id>: the receipt."""
        shown = self._lookups.payment(self.site.visit(), payment_id)
        return self.site.page(
            "receipt.html",
            N_("Receipt"),
            shown=shown,
            payment=shown.payment,
            number=receipt_number(shown.payment),
            methods=METHOD,
        )

    def receipt(self, payment_id: str) -> Response:
        """GET /my/payments/<id>/pdf."""
        try:
            content = self._lookups.receipt(self.site.visit(), payment_id)
        except MissingLetters:
            return self.site.page("message.html", N_("No document"), _NO_PDF)
        return pdf(f"receipt-{payment_id[:8]}.pdf", content)

    def usage(self) -> Response:
        """GET /my/usage: 13 months beside the year before and similar homes."""
        found = self._lookups.usage(confirmed(self.site.visit()), today=self.site.today)
        language = self.site.language()
        meters = [
            (
                one.use.meter_serial,
                usage_chart(one.use.months, one.similar, language),
                bool(one.similar),
            )
            for one in found
        ]
        return self.site.page("usage.html", N_("Your use"), meters=meters)

    @property
    def _lookups(self) -> PageLookups:
        return self.site.services.customer_page.lookups
