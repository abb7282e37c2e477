"""No secret, link or person's data passes the redaction; what helps an operator does."""

import time

import pytest

from services.telemetry.redaction import LONGEST, Redactor


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("Authorization: Bearer abcdef123456", "abcdef123456"),
        ("X-API-Key=ebk_q8Hc-12.34", "q8Hc"),
        ("key ebk_q8Hc12345678 refused", "q8Hc12345678"),
        ("token eyJhbGciOi.eyJzdWIi.c2ln.", "hbGciOi"),
        ("sk_live_51HabcDEF", "51Habc"),
        ("sk-proj-abcdefgh123", "abcdefgh"),
        ("whsec_abc123==", "abc123"),
        ('{"password": "hunter22"}', "hunter22"),
        ("postgresql://billing:s3cret@db.example/x", "s3cret"),
        ("bolt://neo4j:pw@host:7687", ":pw"),
        ("https://discord.com/api/webhooks/123/AbCd", "AbCd"),
        ("pay at https://buy.stripe.com/test_abc?x=1", "test_abc"),
        ("GET /session/begin?ticket=abcdef&next=/", "abcdef"),
        ("mail to mill.house@lane.example failed", "mill.house"),
        ("call +91 98765 43210", "43210"),
        ("call +919876543210.", "9876"),
        ("duplicate\nDETAIL:  Key (name)=(Mill House) already exists.", "Mill House"),
        ("Failing row contains (1, Mill House, x).", "Mill House"),
        ("Key (email)=(a) already exists", "(a)"),
        ("[type=x, input_value='Mill House', input_type=str]", "Mill House"),
    ],
)
def test_what_has_the_shape_of_a_secret_or_a_person_is_taken_out(text: str, hidden: str) -> None:
    redacted = Redactor()(text)
    assert hidden not in redacted
    assert "…" in redacted


@pytest.mark.parametrize(
    "text",
    [
        "meter MTR-4711: The head-end answered 503.; trying again",
        "monthly_bills of 2026-03-01 ends: done, 1200 done, 3 set aside",
        "Uvicorn running on http://127.0.0.1:8501 (Press CTRL+C to quit)",
        "migration 20261129000700_readings_beside_peers applied",
        "POST /webhook/meter-reading refused: 409 reading_conflict",
        "the total is 540.35, was 530.10 +1.9 %",
        'File "/srv/app/services/jobs/runs.py", line 120, in perform',
    ],
)
def test_what_helps_an_operator_stays(text: str) -> None:
    assert Redactor()(text) == text


def test_a_secret_known_by_its_value_is_taken_out_wherever_it_stands() -> None:
    redact = Redactor(["hush-hush", "hush-hush-2", "abc"])
    assert redact("say=hush-hush-2,hush-hush") == "say=…,…"
    assert redact("abc") == "abc", "so short a text is in many words"


def test_a_long_text_keeps_its_beginning_and_its_end() -> None:
    text = Redactor()("begin" + "x" * 100_000 + "end")
    assert len(text) < LONGEST + 10
    assert text.startswith("begin")
    assert text.endswith("end")


def test_a_secret_at_the_cut_of_a_long_text_is_not_left_in_halves() -> None:
    token = "eyJ" + "secret" * 100
    for at in range(LONGEST // 2 - 700, LONGEST // 2 + 100, 50):
        assert "secret" not in Redactor()(" " * at + token + " " * 100_000)
        assert "secret" not in Redactor()(" " * 100_000 + token + " " * at)


@pytest.mark.parametrize(
    "part", ["x", "/a", "a.", "+1", "a@", "key=", "eyJa.", "://", "Key (", "'"]
)
def test_no_text_takes_long(part: str) -> None:
    began = time.process_time()
    Redactor(["hush-hush"])(part * 50_000)
    assert time.process_time() - began < 2
