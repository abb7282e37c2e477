"""Attacks on the sign-in: everything is refused, nobody else is locked out, and it costs little.

The figures are printed: `pytest -s tests/integration/people/test_attacks.py`.
"""

import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import pytest

from services.database.errors import IllegalChange
from services.database.service import DatabaseService
from services.people.hashing import TooBusyToVerify
from services.people.limits import TooManyTries
from services.people.proofs import device_cookie
from services.people.sign_in import (
    CodeWanted,
    PasswordSignIn,
    Place,
    SignedIn,
    SignInRefused,
)
from services.people.users import LinkRefused
from services.records.sessions import UserToSignIn
from tests.integration.people.office import PASSWORD, Office, open_office
from tests.servers import NewDatabase

ATTACKERS = 50
GUESSES = 10_000
OVER_HTTP = 300
AT_ONCE = 200
TIMED = 9


@pytest.fixture(scope="module")
def office(
    fresh_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Office]:
    made = open_office(fresh_database(), tmp_path_factory.mktemp("data"))
    made.first_administrator()
    made.user("asha")
    yield made
    made.services.close()


@pytest.fixture(autouse=True)
def new_counts(office: Office) -> None:
    """Each attack finds the limits as after a quiet day."""
    office.now += timedelta(days=2)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def desk_of(office: Office) -> PasswordSignIn:
    desk = office.services.password_sign_in
    assert desk is not None
    return desk


def guess(office: Office, name: str, address: str, number: int) -> str:
    try:
        desk_of(office).with_password(
            name, f"a guess, the {number}th of all", place=Place(address), now=office.now
        )
    except (SignInRefused, TooManyTries, TooBusyToVerify) as refused:
        return type(refused).__name__
    return "in"


def test_ten_thousand_guesses_from_everywhere_get_nowhere_and_lock_nobody_out(
    office: Office, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = office.browser()
    office.sign_in(phone, "asha")
    device = office.cookie_below(phone, device_cookie("asha"))
    assert device
    monkeypatch.setattr(desk_of(office), "_least_seconds", 0.0)
    came, began = Counter[str](), time.monotonic()
    for number in range(GUESSES):
        # Ten guesses a second.
        office.now += timedelta(seconds=0.1)
        came[guess(office, "asha", f"203.0.113.{number % ATTACKERS}", number)] += 1
    took = time.monotonic() - began
    known = desk_of(office).with_password(
        "asha", PASSWORD, place=Place("203.0.113.1", device), now=office.now
    )
    with capsys.disabled():
        say(f"\n{GUESSES} guesses at one name from {ATTACKERS} addresses in {took:.1f} s: {came}")
    assert isinstance(known, SignedIn)
    assert came["in"] == 0
    # One of ten seconds for all of them together, and no more.
    assert came["SignInRefused"] <= 20 + GUESSES // 100 + 10
    # A new device takes its turn within the longest pause of a name.
    office.now += timedelta(seconds=10)
    new = desk_of(office).with_password(
        "asha", PASSWORD, place=Place("198.51.100.7"), now=office.now
    )
    assert isinstance(new, SignedIn)
    told = [
        e.detail
        for e in office.services.database.security_events(
            limit=50, who="asha", event="name_guessed"
        )
    ]
    assert len(told) in {1, 2}
    assert "20 wrong passwords" in told[-1]


def test_one_address_that_tries_every_name_gets_slow_too(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_of(office), "_least_seconds", 0.0)
    came = Counter(guess(office, f"user{n}", "203.0.113.99", n) for n in range(2_000))
    assert came == {"SignInRefused": 20, "TooManyTries": 1_980}
    # Whoever else is there signs in.
    assert office.sign_in(office.browser(), "asha").status_code == 303


def test_guesses_over_http_are_answered_with_a_wait(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    browser, began = office.browser(), time.monotonic()
    came = Counter(
        office.sign_in(browser, "boss", f"guess number {n}").status_code for n in range(OVER_HTTP)
    )
    took = time.monotonic() - began
    with capsys.disabled():
        say(f"\n{OVER_HTTP} guesses over HTTP from one address in {took:.1f} s: {dict(came)}")
    assert came == {401: 5, 429: OVER_HTTP - 5}


def test_whether_a_name_exists_shows_neither_in_the_answer_nor_in_its_time(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    disabled = office.user("meera")
    office.services.users.disable(disabled, principal=office.boss, now=office.now)
    office.invite("ravi")
    times: dict[str, list[float]] = {name: [] for name in ("asha", "nobody", "meera", "ravi")}
    answers = set()
    for _ in range(TIMED):
        for name, measured in times.items():
            office.now += timedelta(minutes=20)
            began = time.perf_counter()
            answer = office.sign_in(office.browser(), name, "not the password")
            measured.append(time.perf_counter() - began)
            answers.add((answer.status_code, answer.get_data(as_text=True).replace(name, "NAME")))
    medians = {name: 1000 * statistics.median(measured) for name, measured in times.items()}
    with capsys.disabled():
        shown = ", ".join(f"{name} {median:.1f} ms" for name, median in medians.items())
        say(f"\nmedians of {TIMED} wrong passwords (user, unknown, disabled, invited): {shown}")
    assert len(answers) == 1
    # What is behind it takes some milliseconds; the answer waits for a quarter of a second.
    assert max(medians.values()) - min(medians.values()) < 50


def test_two_hundred_guesses_at_once_keep_everything_else_answering(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    came: Counter[str] = Counter()
    barrier = threading.Barrier(AT_ONCE + 1)

    def attack(number: int) -> None:
        barrier.wait(30)
        came[guess(office, f"user{number}", f"10.9.{number // 250}.{number % 250}", number)] += 1

    with ThreadPoolExecutor(AT_ONCE) as pool:
        attacks = [pool.submit(attack, number) for number in range(AT_ONCE)]
        barrier.wait(30)
        began, waits = time.monotonic(), []
        while not all(done.done() for done in attacks):
            asked = time.monotonic()
            assert office.browser().get("/api/health").status_code in {200, 503}
            assert office.browser().get("/sign-in").status_code == 200
            waits.append(time.monotonic() - asked)
        took = time.monotonic() - began
        for done in attacks:
            done.result()
    with capsys.disabled():
        say(
            f"\n{AT_ONCE} guesses at once took {took:.1f} s: {dict(came)}; meanwhile "
            f"{len(waits)} pages, the slowest in {max(waits, default=0):.2f} s"
        )
    assert came.total() == AT_ONCE
    assert "in" not in came
    assert max(waits, default=0) < 5


def test_guesses_at_once_are_counted_before_they_are_verified(office: Office) -> None:
    with ThreadPoolExecutor(32) as pool:
        came = Counter(pool.map(lambda n: guess(office, "boss", "203.0.113.77", n), range(100)))
    assert came["SignInRefused"] == 5
    assert came["SignInRefused"] + came["TooManyTries"] + came["TooBusyToVerify"] == 100


def test_memory_for_counts_is_bounded(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = desk_of(office)
    monkeypatch.setattr(desk, "_least_seconds", 0.0)
    for number in range(30_000):
        desk.passwords.begin(name=f"u{number}", address=f"a{number}", device=None, now=office.now)
    assert desk.passwords.size() <= 3 * 20_000 + 1_000


def test_codes_are_not_guessed_from_everywhere_by_who_knows_the_password(
    office: Office, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, chances, tried = desk_of(office), 3 / 10**6, 0
    monkeypatch.setattr(desk, "_least_seconds", 0.0)
    for second in range(0, 24 * 3600, 10):
        now, address = office.now + timedelta(seconds=second), f"10.7.{second % 249}.{second % 251}"
        try:
            desk.codes.begin(name="asha", address=address, device=None, now=now)
        except TooManyTries:
            continue
        tried += 1
    with capsys.disabled():
        say(f"\n{tried} codes tried in a day from everywhere: {tried * chances:.2%} of a hit")
    assert tried * chances < 0.001


def test_who_waits_is_told_so_without_a_look_at_the_user_whatever_device_is_shown(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, asked = desk_of(office), Counter[str]()
    monkeypatch.setattr(desk, "_least_seconds", 0.0)
    phone = office.browser()
    office.sign_in(phone, "boss")
    device_of_another = office.cookie_below(phone, device_cookie("boss"))
    look = DatabaseService.user_to_sign_in

    def counted(database: DatabaseService, *, sign_in_name: str) -> UserToSignIn | None:
        asked[sign_in_name] += 1
        return look(database, sign_in_name=sign_in_name)

    monkeypatch.setattr(DatabaseService, "user_to_sign_in", counted)
    for device in (None, "made up", device_of_another):
        for name in ("asha", "nobody"):
            for _ in range(10):
                with suppress(SignInRefused, TooManyTries):
                    desk.with_password(
                        name, "x", place=Place("203.0.113.3", device), now=office.now
                    )
    assert asked == {"asha": 5, "nobody": 5}


def test_a_code_or_a_link_that_many_use_at_once_lets_one_in(office: Office) -> None:
    desk = desk_of(office)
    office.user("many")
    secret = office.turn_code_on("many")
    office.now += timedelta(minutes=2)
    wanted = desk.with_password("many", PASSWORD, place=Place("203.0.113.4"), now=office.now)
    assert isinstance(wanted, CodeWanted)
    for code in (office.code(secret), office.recovery_codes[0]):

        def enter(number: int, code: str = code) -> str:
            place = Place(f"203.0.113.{number}")
            try:
                desk.with_code(wanted.proof, code, place=place, now=office.now)
            except (SignInRefused, TooManyTries) as refused:
                return type(refused).__name__
            return "in"

        with ThreadPoolExecutor(8) as pool:
            assert Counter(pool.map(enter, range(8)))["in"] == 1
    invited = office.invite("twice")

    def set_password(number: int) -> str:
        try:
            office.services.users.set_password(invited.code, f"{PASSWORD} {number}", office.now)
        except (LinkRefused, IllegalChange, TooBusyToVerify) as refused:
            return type(refused).__name__
        return "set"

    with ThreadPoolExecutor(8) as pool:
        assert Counter(pool.map(set_password, range(8)))["set"] == 1
