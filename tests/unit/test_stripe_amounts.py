"""Amounts as Stripe counts them: exactly, or not at all."""

import io
import struct

import pytest

from services.payments import UnchargeableAmount, from_stripe_amount, to_stripe_amount
from services.qr import qr_png, qr_svg


@pytest.mark.parametrize(
    ("minor", "currency", "amount"),
    [
        (54035, "INR", 54035),
        (1, "USD", 1),
        (500, "JPY", 500),
        (500, "UGX", 50000),
        (5, "ISK", 500),
        (5120, "KWD", 5120),
        (54000, "MGA", 540),
        (54035, "HUF", 54035),
    ],
)
def test_an_amount_there_and_back(minor: int, currency: str, amount: int) -> None:
    assert to_stripe_amount(minor=minor, currency=currency) == amount
    assert from_stripe_amount(amount=amount, currency=currency) == minor


@pytest.mark.parametrize(
    ("minor", "currency"), [(5124, "KWD"), (5125, "BHD"), (54035, "MGA"), (5120, "IQD")]
)
def test_an_amount_that_stripe_cannot_charge_exactly_is_refused(minor: int, currency: str) -> None:
    with pytest.raises(UnchargeableAmount, match=currency):
        to_stripe_amount(minor=minor, currency=currency)


def test_a_part_of_a_krona_is_refused_on_the_way_back() -> None:
    with pytest.raises(UnchargeableAmount):
        from_stripe_amount(amount=550, currency="ISK")


def test_a_link_becomes_a_picture() -> None:
    link = "https://buy.stripe.com/test_14A28s5Nf4Xk2mI7ss"
    png = qr_png(link)
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", io.BytesIO(png).getvalue()[16:24])
    assert width == height >= 200
    assert b"<svg" in qr_svg(link)
    assert qr_png(f"{link}x") != png
