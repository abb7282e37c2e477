"""What every plan of a change needs: the place, its chain, and the bills up to a read."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final
from uuid import uuid5

from services.billing.draw_up import draw_up_bills
from services.billing.issuing import BillIssuer
from services.billing.pricing import nets_on
from services.corrections.affected_bills import CannotRebill, past_of_bill, reissue, reissued
from services.corrections.bill_changes import AffectedBills, BillChange
from services.database.service import DatabaseService
from services.languages.sentence import sentence
from services.quantities.period import EmptyPeriod
from services.rating import UnableToPriceBill
from services.records.bills import NewBill
from services.records.corrections import BillChain, ChainBill, looks_back
from services.records.readings import Read, ReadBetween
from services.records.supply import Place, PlacedMeter, ServiceAgreement
from services.records.tariffs import TariffVersion
from services.supply.changes import CannotChangeSupply, TypedRead
from services.supply.plan import SUPPLY
from services.supply.reads import ChangeReads, ReadAtChange

_BEYOND: Final = sentence("It ran beyond the day of moving out.")
_SETTLED: Final = sentence("It is the last one, and settles the kWh that are banked.")
_LEAVES: Final = sentence(
    "It is the last one under net metering, and settles the kWh that are banked."
)
_OTHER_TARIFF: Final = sentence("It is priced by the other tariff.")
_GOES_ON: Final = sentence("It is not the last one any more: its kWh are banked again.")


@dataclass(frozen=True, slots=True)
class Planning:
    """What plans are made with; `now` is in UTC, ids are made from the form's."""

    database: DatabaseService
    issuer: BillIssuer
    reads: ChangeReads
    change_id: str
    user: str
    now: datetime
    reason: str

    def new_id(self, name: str) -> str:
        """The id of something that this change makes, the same each time it is planned."""
        return str(uuid5(SUPPLY, f"{self.change_id}/{name}"))

    def place(self, service_point_id: str, *, on: date) -> Place:
        """The place with the reads of a local date; raises NotFound."""
        return self.database.place(service_point_id, on=on)

    def meter_of(self, place: Place) -> PlacedMeter:
        """The meter that is there; raises CannotChangeSupply where there is none."""
        if place.meter is None:
            raise CannotChangeSupply(
                sentence("No meter is installed at {place}.", place=place.point.code)
            )
        return place.meter

    def agreement_of(self, place: Place, *, on: date) -> ServiceAgreement:
        """The agreement that lasts, if `on` lies within; raises CannotChangeSupply."""
        agreement = place.agreement
        if agreement is None:
            last = place.agreements[0] if place.agreements else None
            if last is None or last.ends_on is None:
                raise CannotChangeSupply(
                    sentence("Nobody has an agreement for {place}.", place=place.point.code)
                )
            raise CannotChangeSupply(
                sentence(
                    "{customer} moved out of {place} on {day} already, and nobody has moved in "
                    "since.",
                    customer=last.customer_name,
                    place=place.point.code,
                    day=last.ends_on,
                )
            )
        if on <= agreement.starts_on:
            raise CannotChangeSupply(
                sentence(
                    "The agreement of {customer} began on {day}: give a later day.",
                    customer=agreement.customer_name,
                    day=agreement.starts_on,
                )
            )
        return agreement

    def read_of(
        self,
        place: Place,
        meter: PlacedMeter,
        on: date,
        typed: TypedRead,
        *,
        after: datetime | None = None,
    ) -> ReadAtChange:
        """The read of the meter that is there on a local date, stored or typed.

        A typed one is taken `after` an instant (UTC), where that lies on the same date.
        """
        return self.reads.at(
            place=place,
            meter=meter,
            on=on,
            typed=typed,
            new_id=self.new_id("read"),
            now=self.now,
            reason=self.reason,
            user=self.user,
            after=after,
        )

    def chain(
        self, agreement: ServiceAgreement, *, since: date, tariff_code: str | None = None
    ) -> BillChain:
        """The agreement's bills and reads, back to the bill that ends after a local date.

        With the versions of another tariff too, if one is named.
        """
        return self.database.rebill_context(
            agreement_id=agreement.id, since=since, tariff_code=tariff_code
        )

    def tariff(self, code: str, *, currency: str | None) -> TariffVersion:
        """A version of a tariff; raises CannotChangeSupply for an unknown one."""
        found = next((v for v in self.database.tariff_versions() if v.code == code), None)
        if found is None:
            raise CannotChangeSupply(sentence("There is no tariff {tariff}.", tariff=code))
        if currency not in (None, found.currency):
            raise CannotChangeSupply(
                sentence(
                    "Tariff {tariff} is in {currency}, the account in {currency_2}.",
                    tariff=code,
                    currency=found.currency,
                    currency_2=currency,
                )
            )
        return found

    def bills_until(
        self, chain: BillChain, closing: Read
    ) -> tuple[tuple[BillChange, ...], tuple[NewBill, ...]]:
        """The bills of a chain that ends at a read: those that ran beyond it, and new ones.

        Raises CannotChangeSupply, UnableToPriceBill.
        """
        if settled := self._settled_at_end(chain, closing):
            return settled, ()
        beyond = [bill for bill in chain.bills if bill.period_end > closing.read_on]
        opening = chain.read(beyond[0].opening_reading_id if beyond else chain.tail_id)
        if opening is None:
            raise CannotChangeSupply(
                sentence("The readings of this place changed: look at it again.")
            )
        made = self._drawn_up(chain, beyond, opening, closing)
        return tuple(_changes(beyond, opening, closing, made)), tuple(made[1:] if beyond else made)

    def _settled_at_end(self, chain: BillChain, closing: Read) -> tuple[BillChange, ...]:
        """The last bill reissued where it ends on the day and kWh are left in its banks."""
        last = chain.bills[-1] if chain.bills else None
        if (
            last is None
            or last.period_end != closing.read_on
            or not (last.net and last.net.closing())
        ):
            return ()
        return self._last_anew(last, ends_on=last.period_end, why=_SETTLED)

    def unsettled(self, chain: BillChain) -> tuple[BillChange, ...]:
        """The last bill reissued where it settled kWh because the agreement was to end with it."""
        last = chain.bills[-1] if chain.bills else None
        if last is None or last.period_end != chain.ends_on or last.net is None:
            return ()
        if not last.net.in_all().settled:
            return ()
        return self._last_anew(last, ends_on=None, why=_GOES_ON)

    def _last_anew(
        self, last: ChainBill, *, ends_on: date | None, why: str
    ) -> tuple[BillChange, ...]:
        # With the reads that the bill runs between.
        chain = self.database.rebill_context(bill_id=last.id)
        then = chain.model_copy(update={"ends_on": ends_on})
        issue = self.issuer.issue(self.now)
        try:
            made = reissue(then, [reissued(then, last, why)], issue=issue, zone=self.issuer.zone)
        except CannotRebill as error:
            raise CannotChangeSupply(str(error)) from None
        return tuple(made)

    def on_other_tariff(
        self, before: BillChain, after: BillChain, *, since: date
    ) -> tuple[BillChange, ...]:
        """Each bill that ends after the day from which a chain has another tariff, priced again.

        Where net metering ends or begins with the day, the bill that ends on it as well: it
        settles what is banked, or banks it again. Raises CannotRebill.
        """
        settles = not nets_on(after.versions, day=since)
        turns = settles == nets_on(before.versions, day=since)
        affected = [
            reissued(after, bill, _LEAVES if settles else _GOES_ON)
            for bill in after.bills
            if turns and bill.period_end == since and _has_a_bank(bill)
        ]
        affected += [
            reissued(after, bill, _OTHER_TARIFF) for bill in after.bills if bill.period_end > since
        ]
        issue = self.issuer.issue(self.now)
        return tuple(reissue(after, affected, issue=issue, zone=self.issuer.zone))

    def bills_since(self, chain: BillChain, *, since: date, why: str) -> tuple[BillChange, ...]:
        """Each bill that ends after a local date, priced again. Raises CannotRebill."""
        affected = [reissued(chain, bill, why) for bill in chain.bills if bill.period_end > since]
        issue = self.issuer.issue(self.now)
        return tuple(reissue(chain, affected, issue=issue, zone=self.issuer.zone))

    def _drawn_up(
        self, chain: BillChain, beyond: list[ChainBill], opening: Read, closing: Read
    ) -> list[NewBill]:
        if closing.read_on <= opening.read_on:
            return []
        is_draft = any(bill.stored_status == "draft" for bill in beyond)
        issue = self.issuer.issue_of_new(self.now) if not beyond else self.issuer.issue(self.now)
        versions = chain.versions
        kept = [bill for bill in chain.bills if bill not in beyond]
        past = (
            [past_of_bill(b) for b in kept] if any(looks_back(v.tariff) for v in versions) else []
        )
        try:
            bills = draw_up_bills(
                agreement_id=chain.agreement_id,
                constants=chain.meter.constants,
                installations=chain.installations,
                opening=opening,
                between=list(_between(chain, beyond, opening, closing)),
                closing=closing,
                tariffs=versions,
                reissue_no=_reissues(chain, beyond, opening.id),
                issue=None if is_draft else issue,
                zone=self.issuer.zone,
                inputs=chain.inputs(
                    opening=opening,
                    closing=closing,
                    past=past,
                    billed=[bill.billed_before for bill in kept],
                ),
                shortest_days=0,
                billing_day=chain.billing_day,
                however_short=True,
                is_final=True,
            )
        except EmptyPeriod as error:
            raise UnableToPriceBill(str(error)) from None
        return bills if beyond else self.issuer.held_back(bills)


def _has_a_bank(bill: ChainBill) -> bool:
    return bill.net is not None and bool(bill.net.closing() or bill.net.in_all().settled)


def since_of(chain: BillChain, changes: Iterable[BillChange]) -> str:
    """The local date from which the chain must be as it was seen."""
    starts = [bill.period_start for change in changes for bill in change.affected.bills]
    tail = chain.read(chain.tail_id)
    return min([*starts, *([tail.read_on] if tail else [])]).isoformat()


def _changes(
    beyond: list[ChainBill], opening: Read, closing: Read, made: list[NewBill]
) -> Iterable[BillChange]:
    for bill in beyond:
        new = replace(made[0], replaces_id=bill.id) if made and bill is beyond[0] else None
        affected = AffectedBills((bill,), opening, closing, _BEYOND, again=bool(new))
        yield BillChange(affected, new)


def _between(
    chain: BillChain, beyond: list[ChainBill], opening: Read, closing: Read
) -> Iterable[ReadBetween]:
    for read in chain.reads:
        if opening.read_at < read.read_at < closing.read_at and not read.is_opening:
            row = {name: getattr(read, name) for name in Read.model_fields}
            yield ReadBetween(**row, reissues=_reissues(chain, beyond, read.id))


def _reissues(chain: BillChain, beyond: list[ChainBill], read_id: str) -> int:
    """How many void bills will have opened at a read once those beyond are void."""
    before = chain.tail_reissues if read_id == chain.tail_id else chain.reissues.get(read_id, 0)
    return before + sum(bill.opening_reading_id == read_id for bill in beyond)
