"""A list filtered by words has the rows, order, pages and counts that looking at each row gives."""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest

from bench.large_utility import fill
from bench.plans import ExplainingTransport
from services.database.embedded import EmbeddedPostgres
from services.database.schema.migrations import apply_migrations
from services.database.service import DatabaseService
from services.records.base import FOUND_COUNTED_TO, Key, KeyPage, PageRequest
from services.records.lists import AccountFilter, BillFilter, PaymentFilter, PointFilter
from tests.integration.server_process import superuser_dsn
from tests.servers import MIGRATIONS

CUSTOMERS = 3_000
# More rows than these have a common word: they are not all named.
NAMED = 1_001
# Who comes last in most orders has a word that nobody else has; some payments are of nobody known.
_WORDS = """
    update customers set
        name = case when account_no > 'A0001800' then 'Zulu' else 'Alba' end
            || ' ' || right(account_no, 4)::int % 7
            || case when account_no like '%42' then ' शर्मा' else '' end,
        address = right(account_no, 2)
            || case right(account_no, 4)::int % 3 when 0 then ' Lotus Lane' else ' Peepal Road' end;
    update service_points set
        address = right(code, 2)
            || case right(code, 1)::int % 2 when 0 then ' Lotus Lane' else ' Zulu Street' end;
    update payments set customer_id = null where received_on > '2026-11-05';
    analyze"""
_CUSTOMER = "private.customer_search_text(c.account_no, c.name, c.phone, c.email, c.address)"
# Of each list all rows in the order of a sort: the id, whether a filter leaves them, what their
# customer is found by, what else they are found by, and the number of the bill.
_ROWS = {
    "bills": """
        select b.id, b.status = 'draft', {customer}, lower(m.serial), b.number
        from bills b join customers c on c.id = b.customer_id join meters m on m.id = b.meter_id
        order by {}""",
    "accounts": """
        select c.id, coalesce(a.balance_minor, 0) > 0, {customer}, '', null
        from customers c left join accounts a on a.customer_id = c.id order by {}""",
    "payments": """
        select y.id, y.received_on >= '2026-11-01', {customer},
               lower(y.reference || ' ' || y.provider_id), b.number
        from payments y left join customers c on c.id = y.customer_id
        left join bills b on b.id = y.bill_id order by {}""",
    "points": """
        select s.id, not exists (select 1 from service_agreements x
                                 where x.service_point_id = s.id and x.ends_on is null),
               {customer}, lower(s.code || ' ' || s.address || ' ' || s.route)
               || chr(10) || lower(m.serial), null
        from service_points s join meter_installations i on i.service_point_id = s.id
        join meters m on m.id = i.meter_id
        left join service_agreements a on a.service_point_id = s.id and a.ends_on is null
        left join customers c on c.id = a.customer_id order by {}""",
}
_ROWS["meters"] = _ROWS["points"].replace("select s.id", "select m.id")
_SORTS = {
    "bills": {
        "period": "b.period_end",
        "number": "coalesce(b.number, 9223372036854775807)",
        "customer": "lower(c.name)",
    },
    "accounts": {
        "name": "lower(c.name)",
        "account": "c.account_no",
        "balance": "coalesce(a.balance_minor, 0)",
    },
    "payments": {"received": "y.received_on", "customer": "coalesce(lower(c.name), '')"},
    "points": {"code": "s.code"},
}
TEXTS = (
    *("zulu", "alba", "lotus", "lane", "family", "pi_", "r1", "m000"),  # common
    *("zulu lotus", "lotus zulu peepal", "alba lane", "zulu 5", "lotus m000"),
    *("nobody", "zulu nobody", "zulu m0002100", "m0002100", "a0000007", "17 lotus", "p0001"),
    *("1900", "inv-1900", "inv-", "zulu inv-2222", "inv-999999", "zulu%", "_", "lotus 4", "7"),
    *("zz", "5 zz", "u 1", "rd", "road", "road ln"),  # short
    *("17", "zu", "#", "# 3", "शर्मा", "शर 4"),
)


@dataclass(frozen=True)
class Lists:
    """A utility, and what each of its lists is asked by."""

    connection: psycopg.Connection[Any]
    database: DatabaseService
    ask: dict[str, tuple[Callable[..., KeyPage[Any]], Callable[..., Any], dict[str, Any]]]

    def expected(
        self, what: str, order: str, text: str, *, filtered: bool, large: bool = False
    ) -> list[str]:
        """The ids that each row's own texts give, in order, where tables are large or not."""
        words = text.lower().split()
        found = self.connection.execute(
            "select private.search_text(w) from unnest(%s::text[]) w", [words]
        )
        as_searched = [word for (word,) in found.fetchall()]
        if large and not re.search(r"[^\W_]", text):
            return []  # Signs alone enter no index.
        rows = self.connection.execute(
            _ROWS[what].format(order, customer=_CUSTOMER).encode()
        ).fetchall()
        as_searched = [searched or word for searched, word in zip(as_searched, words, strict=True)]
        of_customers = _has_begun if large and not _has_three(as_searched) else _has
        of_others = _has_begun if large and not _has_three(words) else _has
        return [
            str(row_id)
            for row_id, left, customer, own, number in rows
            if (left or not filtered)
            and all(
                of_customers(searched, customer or "")
                or any(of_others(word, text) for text in own.split("\n"))
                or _is_number(word, number)
                for word, searched in zip(words, as_searched, strict=True)
            )
        ]

    def page(self, what: str, text: str, request: PageRequest, *, filtered: bool) -> KeyPage[Any]:
        """What the list answers."""
        ask, kind, more = self.ask[what]
        return ask(wanted=kind(text=text, **(more if filtered else {})), page=request)


def _has_three(words: Sequence[str]) -> bool:
    """Whether a word has three letters or digits in a row."""
    return any(re.search(r"[^\W_]{3}", word) for word in words)


def _has(word: str, text: str) -> bool:
    return word in text


def _has_begun(word: str, text: str) -> bool:
    """Whether a word of the text begins with this one; signs alone may stand anywhere."""
    if not re.search(r"[^\W_]", word):
        return word in text
    before = "^| " if max(word) > "\u07ff" else r"^|[ -/:-@\[-`{-~]"
    return re.search(f"({before}){re.escape(word)}", text) is not None


def _is_number(word: str, number: int | None) -> bool:
    digits = word.removeprefix("inv-")
    if word == "inv-":
        return number is not None
    return number is not None and digits.isdigit() and int(digits) == number


@pytest.fixture(scope="module")
def lists(embedded_server: EmbeddedPostgres) -> Iterator[Lists]:
    name = "common_words"
    apply_migrations(embedded_server.database(name), MIGRATIONS)
    with psycopg.connect(superuser_dsn(embedded_server, database=name), autocommit=True) as made:
        fill(made, customers=CUSTOMERS)
        made.execute("set session_replication_role = replica")
        made.execute(_WORDS.encode())
        made.execute("reset session_replication_role")
        database = DatabaseService(ExplainingTransport(made))
        yield Lists(
            made,
            database,
            {
                "bills": (database.list_bills, BillFilter, {"status": "draft"}),
                "accounts": (database.list_accounts, AccountFilter, {"owing_only": True}),
                "payments": (
                    *(database.list_payments, PaymentFilter),
                    {"received_from": "2026-11-01"},
                ),
                "points": (database.list_service_points, PointFilter, {"vacant_only": True}),
            },
        )


@pytest.mark.parametrize("what", list(_SORTS))
def test_a_list_has_the_rows_that_each_rows_texts_give(lists: Lists, what: str) -> None:
    chance = random.Random(what)  # noqa: S311 - the same each time
    common = 0
    for text in TEXTS:
        filtered = chance.random() < 0.3
        sort = chance.choice(list(_SORTS[what]))
        descending = chance.random() < 0.5
        direction = "desc" if descending else "asc"
        order = f"{_SORTS[what][sort]} {direction}, 1 {direction}"
        expected = lists.expected(what, order, text, filtered=filtered)
        common += len(expected) > NAMED
        request = PageRequest(sort, descending, limit=chance.choice((1, 10, 200)))
        _check_pages(lists, what, text, request, expected, filtered=filtered, chance=chance)
    assert common >= 3, "no word was common"


@pytest.mark.usefixtures("of_millions")
@pytest.mark.parametrize("what", list(_SORTS))
def test_a_list_that_is_looked_through_in_parts_misses_nothing(lists: Lists, what: str) -> None:
    chance = random.Random(what)  # noqa: S311 - the same each time
    parts = 0
    # Few words of payments are common.
    for text in TEXTS if what == "payments" else TEXTS[::2]:
        filtered = chance.random() < 0.3
        sort = chance.choice(list(_SORTS[what]))
        descending = chance.random() < 0.5
        direction = "desc" if descending else "asc"
        order = f"{_SORTS[what][sort]} {direction}, 1 {direction}"
        expected = lists.expected(what, order, text, filtered=filtered, large=True)
        request = PageRequest(sort, descending, limit=200)
        for backwards in (False, True):
            found: list[str] = []
            page = lists.page(what, text, replace(request, backwards=backwards), filtered=filtered)
            pages = [page]
            while page.has_before if backwards else page.has_after:
                after = page.first if backwards else page.last
                page = lists.page(
                    *(what, text, replace(request, after=after, backwards=backwards)),
                    filtered=filtered,
                )
                pages.append(page)
            for one in pages:
                ids = [row.id for row in one.items]
                found = ids + found if backwards else found + ids
                assert one.total in (None, min(len(expected), FOUND_COUNTED_TO + 1)), text
            parts += sum(page.is_part for page in pages)
            assert found == expected, f"{what} {text!r} {sort} {descending} {filtered}"
    assert parts >= 1, "no list was looked through in parts"


@pytest.fixture
def of_millions(lists: Lists) -> Iterator[None]:
    """Words are common, and lists long, as those of many millions of rows are."""
    changed = (
        ("private.is_large", "200000", "500"),
        ("private.share_of_words", "200000", "500"),
        ("private.page_by_key", " 5000", " 300"),
    )
    kept = []
    lists.connection.execute("reset role")
    for name, said, instead in changed:
        row = lists.connection.execute("select pg_get_functiondef(%s::regproc)", [name]).fetchone()
        assert row is not None
        assert said in row[0]
        kept.append(row[0])
        lists.connection.execute(row[0].replace(said, instead).encode())
    lists.connection.execute("set role service_role")
    yield
    lists.connection.execute("reset role")
    for definition in kept:
        lists.connection.execute(definition.encode())
    lists.connection.execute("set role service_role")


def test_meters_are_found_by_what_their_own_texts_give(lists: Lists) -> None:
    for text in TEXTS:
        found = lists.database.find_meters(text=text, limit=30)
        expected = lists.expected("meters", "m.serial", text, filtered=False)
        assert [meter.id for meter in found] == expected[:30], text


def _check_pages(
    lists: Lists,
    what: str,
    text: str,
    request: PageRequest,
    expected: Sequence[str],
    *,
    filtered: bool,
    chance: random.Random,
) -> None:
    def ask(**changes: Any) -> KeyPage[Any]:
        return lists.page(what, text, replace(request, **changes), filtered=filtered)

    size, told = request.limit, f"{what} {text!r} {request} {filtered}"
    counted_to = chance.choice((5, 500, 1_500, 10_000))
    first = ask(counted_to=counted_to)
    assert [row.id for row in first.items] == expected[:size], told
    assert first.total == min(len(expected), min(counted_to, FOUND_COUNTED_TO) + 1), told
    assert first.has_after == (len(expected) > size), told
    last = ask(backwards=True, counted_to=0)
    assert [row.id for row in last.items] == expected[-size:], told
    assert last.has_before == (len(expected) > size), told
    if len(expected) <= size:
        return
    after = ask(after=first.last)
    assert [row.id for row in after.items] == expected[size : 2 * size], told
    before = ask(after=last.first, backwards=True)
    assert [row.id for row in before.items] == expected[-2 * size : -size][-size:], told
    at: Key | None = ask(limit=chance.randrange(1, len(expected))).last
    beyond = expected.index(at[1]) + 1 if at else 0
    later = ask(after=at, counted_to=counted_to)
    assert [row.id for row in later.items] == expected[beyond : beyond + size], told
    assert later.has_after == (beyond + size < len(expected)), told
