"""The bills of a billing cycle, drawn up but not stored: by the monthly job, and to look at."""

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from itertools import chain, pairwise
from typing import Protocol, TypeVar

from services.billing.draw_up import draw_up_bills
from services.billing.draw_up_many import draw_up_measured_bills, draw_up_plain_bills
from services.billing.issuing import BillIssuer
from services.database.service import DatabaseService
from services.jobs import unbilled
from services.jobs.missing_reads import (
    EstimatedMissing,
    EstimateRule,
    due_for_estimate,
    estimate_missing,
)
from services.languages.sentence import sentence
from services.metering.bill_periods import CYCLE_END_DAYS
from services.metering.estimation import CannotEstimate
from services.metering.measured import RegisterFell
from services.quantities.period import EmptyPeriod, Period
from services.rating import UnableToPriceBill
from services.records.bills import BillCandidate, CandidatePage, NewBill
from services.records.jobs import SetAside, UnbilledFacts
from services.records.readings import EstimateFacts
from services.records.tariffs import (
    NoTariffInForce,
    TariffVersion,
    versions_along,
    versions_within,
)
from services.tariffs import InvalidTariff

log = logging.getLogger(__name__)

UNEXPECTED = sentence("An unexpected error; the log has the details.")
Answer = TypeVar("Answer")


class Ask(Protocol):
    """How the database is asked."""

    def __call__(self, call: Callable[[], Answer]) -> Answer:
        """The call's answer."""
        ...


def _at_once(call: Callable[[], Answer]) -> Answer:
    return call()


@dataclass(frozen=True, slots=True)
class Span:
    """Agreements by their ids: those after one, up to and with another; None is without bound."""

    after: str | None = None
    until: str | None = None


@dataclass(frozen=True)
class CycleBills:
    """What agreements owe for the cycle that last ended on or before the local date `on`.

    Those of one `billing_day`, or each for its own where it is None. `now` is when they would be
    issued; `ask` calls the database, and may try again.
    """

    database: DatabaseService
    issuer: BillIssuer
    on: date
    billing_day: int | None
    now: datetime
    ask: Ask = _at_once
    estimates: EstimateRule | None = None

    @cached_property
    def _tariffs(self) -> Mapping[str, Sequence[TariffVersion]]:
        """All versions by tariff, fetched once."""
        by_tariff: dict[str, list[TariffVersion]] = defaultdict(list)
        for version in self.ask(self.database.tariff_versions):
            by_tariff[version.tariff_id].append(version)
        return by_tariff

    def parts(self, size: int) -> list[Span]:
        """The agreements in parts of so many; the last one has fewer."""
        ends = self.ask(
            lambda: self.database.agreement_parts(every=size, billing_day=self.billing_day)
        )
        return [Span(*bounds) for bounds in pairwise([None, *ends, None])]

    def candidates(
        self,
        after: str | None,
        *,
        limit: int,
        only: Sequence[str] | None = None,
        until: str | None = None,
    ) -> CandidatePage:
        """Of a page of agreements by id those not billed for the cycle yet; with `only` these."""
        return self.ask(
            lambda: self.database.monthly_bill_candidates(
                on=self.on,
                billing_day=self.billing_day,
                cycle_end_days=CYCLE_END_DAYS,
                after=after,
                until=until,
                limit=limit,
                only=only,
            )
        )

    def estimated(
        self, candidates: Sequence[BillCandidate], *, today: date
    ) -> tuple[EstimatedMissing, list[EstimateFacts]]:
        """Estimates of the reads that are missing by `today`, with what they rest on."""
        rule = self.estimates
        due = due_for_estimate(candidates, rule, today=today)
        if rule is None or not due:
            return EstimatedMissing({}, {}), []
        facts = self.ask(lambda: self.database.estimate_facts(at=due))
        tariffs = {
            one.agreement_id: self._in_force(one) for one in candidates if one.agreement_id in due
        }
        return estimate_missing(due, facts, tariffs, rule), facts

    def _in_force(self, candidate: BillCandidate) -> Sequence[TariffVersion]:
        """The versions that price the days since its last bill; none without a tariff then."""
        versions = self._tariffs_of(candidate)
        try:
            days = Period(candidate.opening.read_on, candidate.cycle_end)
            return [version for version, _ in versions_within(versions, period=days)]
        except (NoTariffInForce, EmptyPeriod):
            return ()

    def drawn_up(
        self,
        candidates: Sequence[BillCandidate],
        refused: Mapping[str, CannotEstimate] | None = None,
    ) -> tuple[list[NewBill], list[SetAside]]:
        """Their bills, those of an agreement in order, and why others have none.

        `refused` says why a missing read was not estimated, by agreement.
        """
        bills: list[NewBill] = []
        aside: list[SetAside] = []
        without: dict[str, RegisterFell | None] = {}
        together = self._together(candidates)
        for candidate in candidates:
            if candidate.agreement_id in together:
                bills.append(together[candidate.agreement_id])
                continue
            try:
                made = self._of_one(candidate)
            except RegisterFell as fell:
                without[candidate.agreement_id] = fell
                continue
            if made is None:
                without[candidate.agreement_id] = None
            elif isinstance(made, list):
                bills += made
            else:
                aside.append(made)
        agreements = {c.agreement_id: c for c in candidates}
        held = self.ask(lambda: self.issuer.held_back(bills))
        unattended = [bill.unattended() for bill in held]
        return unattended, [*aside, *self._why_not(without, agreements, refused or {})]

    def _together(self, candidates: Sequence[BillCandidate]) -> dict[str, NewBill]:
        """The bills, by agreement, of those that can be drawn up with others."""
        issue = self.issuer.issue_of_new(self.now)
        try:
            plain = draw_up_plain_bills(
                candidates,
                tariffs_of=self._tariffs_of,
                issue=issue,
                shortest_days=self.issuer.shortest_days,
            )
            measured = draw_up_measured_bills(
                (one for one in candidates if one.agreement_id not in plain),
                tariffs_of=self._tariffs_of,
                issue=issue,
                zone=self.issuer.zone,
                shortest_days=self.issuer.shortest_days,
            )
        except Exception:
            # Of which of them it was is found by drawing up each alone.
            log.exception("the bills of a page could not be computed together")
            return {}
        return plain | measured

    def _why_not(
        self,
        without: Mapping[str, RegisterFell | None],
        agreements: Mapping[str, BillCandidate],
        refused: Mapping[str, CannotEstimate],
    ) -> list[SetAside]:
        """Why some have no bill: no read to close at, or a register that fell; by their ids."""
        if not without:
            return []
        facts = self.ask(lambda: self.database.unbilled_facts(agreements=list(without), on=self.on))
        return [
            unbilled.fallen(agreements[one], fell, facts[one].last_bill_id)
            if fell
            else unbilled.not_estimated(agreements[one], refused[one])
            if one in refused and not _waits_for_review(facts[one])
            else unbilled.without_closing(agreements[one], facts[one])
            for one, fell in without.items()
            # A meter whose supply is cut is not read: its next bill has these days.
            if fell or not facts[one].disconnected or facts[one].kept_back
        ]

    def _of_one(self, candidate: BillCandidate) -> list[NewBill] | SetAside | None:
        """Its bills, none where it is too soon for one; why there can be none; or None.

        None is one without a read to close at. Raises RegisterFell.
        """
        if candidate.closing is None:
            return None
        try:
            bills = draw_up_bills(
                agreement_id=candidate.agreement_id,
                constants=candidate.constants,
                installations=candidate.installations,
                opening=candidate.opening,
                between=candidate.between,
                closing=candidate.closing,
                tariffs=self._tariffs_of(candidate),
                reissue_no=candidate.reissue_no,
                issue=self.issuer.issue_of_new(self.now),
                zone=self.issuer.zone,
                inputs=candidate.pricing,
                shortest_days=self.issuer.shortest_days,
                billing_day=candidate.billing_day,
                however_short=candidate.is_final,
                is_final=candidate.is_final,
            )
        except RegisterFell:
            raise
        except (UnableToPriceBill, EmptyPeriod, InvalidTariff) as error:
            return unbilled.not_priced(candidate, error)
        except Exception:
            log.exception("the bill of meter %s could not be computed", candidate.serial)
            return unbilled.aside(candidate, UNEXPECTED)
        return list(bills)

    def _tariffs_of(self, candidate: BillCandidate) -> Sequence[TariffVersion]:
        if not candidate.spans:
            return self._tariffs.get(candidate.tariff_id, ())
        of_spans = (self._tariffs.get(span.tariff_id, ()) for span in candidate.spans)
        return versions_along(candidate.spans, chain.from_iterable(of_spans))


def _waits_for_review(facts: UnbilledFacts) -> bool:
    return facts.kept_back is not None and facts.kept_back.status == "needs_review"
