"""Figures and alerts of the operation are the same over both transports."""

from datetime import timedelta
from uuid import uuid4

from tests.contract.over import Over


def test_figures_count_what_is_there_the_same(over: Over) -> None:
    utility = over.utility
    today, now = utility.today, utility.now
    found = [
        database.operation_log.figures(today=today, day_began=now, month_began=now)
        for database in (over.here, over.direct)
    ]
    same = [figures.model_dump(exclude={"at", "database_bytes"}) for figures in found]
    assert same[0] == same[1]
    assert all(figures.database_bytes > 1_000_000 for figures in found)


def test_bills_of_a_span_are_summed_by_currency(over: Over) -> None:
    until = over.utility.today
    after = until - timedelta(days=400)
    found = over.here.operation_log.bills_of_span(after=after, until=until)
    assert found == over.direct.operation_log.bills_of_span(after=after, until=until)
    assert (found.after, found.until) == (after, until)


def test_an_alert_begins_is_told_and_ends_the_same(over: Over) -> None:
    here, direct, now = over.here.operation_log, over.direct.operation_log, over.utility.now
    condition = f"trial:{uuid4()}"
    seen = [{"condition": condition, "sentence": "It is late."}]
    here.note_alerts(now=now, seen=seen, clear=[], quiet_minutes=5)
    direct.note_alerts(now=now, seen=seen, clear=[], quiet_minutes=5)
    mine = [a for a in direct.claim_alerts(now=now, channels=["mail"]) if a.condition == condition]
    assert [a.sentence for a in mine] == ["It is late."], "one row, however many saw it"
    claimed = here.claim_alerts(now=now, channels=["mail"])
    assert condition not in {a.condition for a in claimed}, "another process is telling it"
    here.alert_told(alert_id=mine[0].id, now=now, what=["mail/begin"])
    for minutes in (1, 7):
        at = now + timedelta(minutes=minutes)
        here.note_alerts(now=at, seen=[], clear=[condition], quiet_minutes=5)
    (ended,) = [a for a in here.alerts(limit=100) if a.condition == condition]
    assert ended == next(a for a in direct.alerts(limit=100) if a.condition == condition)
    assert (ended.since, ended.resolved_at) == (now, now + timedelta(minutes=7))
    assert ended.is_untold("mail", "end")
    assert not ended.is_untold("mail", "begin")
    assert condition not in {a.condition for a in here.alerts(open_only=True, limit=100)}
