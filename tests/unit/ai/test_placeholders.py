"""AI words a message; every amount, date and link in it is ours."""

import pytest

from services.ai.placeholders import LONGEST, UnfitText, fill_in

OURS = {
    "name": "House {amount} M1",
    "amount": "₹540.35",
    "due_date": "15 December 2026",
    "link": "https://pay.example/x?y=1",
    "reference": "INV-000001",
}
GOOD = "Dear {name}, your bill is ready: {amount} until {due_date}."


def fill(text: str, *, required: tuple[str, ...] = ("amount", "due_date")) -> str:
    return fill_in(text, OURS, required=required)


def test_placeholders_become_our_own_texts_once() -> None:
    assert fill(GOOD) == (
        "Dear House {amount} M1, your bill is ready: ₹540.35 until 15 December 2026."
    )


@pytest.mark.parametrize(
    "text",
    [
        "പ്രിയ {name}, നിങ്ങളുടെ ബിൽ {amount}. അവസാന തീയതി {due_date}.",
        "प्रिय {name}, आपका बिल {amount} है। कृपया {due_date} तक भुगतान करें।",
        "您的账单{amount}已出，请于{due_date}前支付。",
        "عزيزي {name}، فاتورتك {amount} حتى {due_date}.",
        "می‌خواهیم یادآوری کنیم: {amount}، {due_date}.",
        "Votre facture\nest prête : {amount}, à payer avant le {due_date} — merci ! 😊",
    ],
)
def test_any_language_is_fit(text: str) -> None:
    assert OURS["amount"] in fill(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Dear {name}, please pay {amount} by {due_date} to {iban}.", "not offered: iban"),
        ("Dear {name}, please pay {Amount} by {due_date} at once.", "not offered: Amount"),
        ("Dear {name}, please pay {amount} very soon indeed.", "leaves out {due_date}"),
        (GOOD + " You save 5 rupees.", "digits"),
        (GOOD + " You save ५ rupees.", "digits"),
        (GOOD + " You save ５ rupees.", "digits"),
        (GOOD + " You save ⑤ rupees.", "digits"),
        (GOOD + " You used m²s of it.", "digits"),
        (GOOD + " Part Ⅳ of it.", "digits"),
        ("Dear {name}, please pay ₹{amount} by {due_date}.", "currency"),
        ("Dear {name}, please pay {amount} by {due_date}, or in $.", "currency"),
        (GOOD + " See https://evil.example", "address"),
        (GOOD + " See www.evil", "address"),
        (GOOD + " See evil.example", "address"),
        (GOOD + " See ｅｖｉｌ．example", "address"),
        (GOOD + " See evil\u200d.\u200dexample", "address"),
        (GOOD + " [Pay]({link})", "address"),
        (GOOD + " @everyone", "address"),
        (GOOD + " Write to <someone>", "address"),
        (GOOD + " ev\u200bil", "cannot be seen"),
        (GOOD + " \u202egnp", "cannot be seen"),
        (GOOD + " \x00", "cannot be seen"),
        (GOOD + " {", "braces"),
        ("Dear {{name}}, please pay {amount} by {due_date}.", "braces"),
        ("{name} {amount} {due_date} {link}", "too short"),
        (GOOD + " Thank you." * LONGEST, "longer than"),
    ],
)
def test_what_we_did_not_write_is_not_sent(text: str, why: str) -> None:
    with pytest.raises(UnfitText, match=why.replace("{", r"\{")):
        fill(text)


def test_a_full_stop_does_not_become_part_of_a_link() -> None:
    text = fill(GOOD + " Pay here: {link}.")
    assert text.endswith("https://pay.example/x?y=1 .")


def test_long_values_count_too() -> None:
    with pytest.raises(UnfitText, match="longer than"):
        fill_in("Dear customer {amount}", {"amount": "9" * LONGEST}, required=(), longest=LONGEST)
