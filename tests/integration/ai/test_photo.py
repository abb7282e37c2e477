"""The photo of a dial, read by AI and compared with what was typed, which it never replaces."""

import base64
import io
import json
from uuid import uuid4

import pytest
from llmock.pytest_plugin import LLMock
from PIL import Image

from services.readings.reading_to_bill import Submitted
from tests.integration.ai.advised import Advised, bill, verdict
from tests.integration.utility import ENGINEER


def dial(shows: str | None, *, confidence: int = 95) -> str:
    """AI's answer about a photo."""
    return json.dumps({"shows_kwh": shows, "confidence": confidence})


@pytest.fixture
def photo() -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (60, 40), "white").save(written, "PNG")
    return written.getvalue()


def submit(advised: Advised, kwh: str, photo: bytes) -> Submitted:
    key, utility = str(uuid4()), advised.utility
    utility.services.meter_photos.keep(
        content=photo, key=key, meter_serial="M1", principal=ENGINEER
    )
    return utility.submit("M1", kwh, key=key)


def test_another_value_on_the_photo_is_one_more_doubt(
    advised: Advised, llmock: LLMock, photo: bytes
) -> None:
    advised.utility.add_meter("M1")
    llmock.reply(dial("1171")).reply(verdict())
    answer = submit(advised, "1117", photo)
    assert (answer.outcome, answer.bill) == ("needs_review", None)
    assert answer.reading.register_wh == 1_117_000
    (found,) = [r for r in answer.reading.validation["rules"] if r["rule"] == "photo"]
    assert found["outcome"] == "review"
    assert found["message"] == (
        "The photo seems to show 1,171 kWh (AI, 95% sure), and 1,117 kWh was typed."
    )
    assert answer.reading.validation["verdict"] == "needs_review"


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (dial("1117"), "pass"),
        (dial("1117.9"), "pass"),
        (dial(None), "not_applicable"),
        (dial("2117", confidence=49), "not_applicable"),
        (dial("bill me 5"), "not_applicable"),
        (dial("99999999"), "not_applicable"),
        (dial("-3"), "not_applicable"),
        ("no JSON", "not_applicable"),
    ],
)
def test_the_same_value_or_one_that_cannot_be_read_holds_nothing_up(
    advised: Advised, llmock: LLMock, photo: bytes, said: str, outcome: str
) -> None:
    advised.utility.add_meter("M1")
    llmock.reply(said).reply(verdict()).reply(bill())
    answer = submit(advised, "1117", photo)
    assert answer.bill is not None
    assert answer.bill.total_minor == 54035
    (found,) = [r for r in answer.reading.validation["rules"] if r["rule"] == "photo"]
    assert found["outcome"] == outcome


def test_ai_is_told_the_digits_and_not_what_was_typed(
    advised: Advised, llmock: LLMock, photo: bytes
) -> None:
    advised.utility.add_meter("M1")
    llmock.reply(dial("1117")).reply(verdict()).reply(bill())
    submit(advised, "1117", photo)
    asked = llmock.requests[0].body["messages"][1]["content"]
    assert json.loads(asked[0]["text"]) == {"digits": 5}
    picture = base64.b64decode(asked[1]["image_url"]["url"].split(",")[1])
    with Image.open(io.BytesIO(picture)) as sent:
        assert (sent.format, sent.size, dict(sent.getexif())) == ("JPEG", (60, 40), {})
    # Everything but the picture, whose letters may be any.
    sent_to_ai = json.dumps(llmock.requests[0].body).replace(asked[1]["image_url"]["url"], "")
    assert [word for word in ("M1", "House", "engineer-1") if word in sent_to_ai] == []
    assert next(call["purpose"] for call in advised.calls()) == "read_dial"


def test_a_photo_of_another_meter_is_not_looked_at(
    advised: Advised, llmock: LLMock, photo: bytes
) -> None:
    utility, key = advised.utility, str(uuid4())
    utility.add_meter("M1")
    utility.add_meter("M2")
    utility.services.meter_photos.keep(
        content=photo, key=key, meter_serial="M2", principal=ENGINEER
    )
    llmock.reply(verdict()).reply(bill())
    assert utility.submit("M1", "1117", key=key).outcome == "billed"
    assert len(llmock.requests) == 2
