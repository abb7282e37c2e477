"""Amounts as Stripe counts them: exactly, or not at all."""

import io

import pytest
import zxingcpp
from PIL import Image

from services.bill_documents.qr import qr_png, qr_svg
from services.payments.stripe.client import UnchargeableAmount, from_stripe_amount, to_stripe_amount


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


def test_a_telephone_reads_the_link_from_its_picture() -> None:
    link = "https://buy.stripe.com/test_14A28s5Nf4Xk2mI7ss"
    picture = Image.open(io.BytesIO(qr_png(link)))
    assert picture.width == picture.height >= 200
    (read,) = zxingcpp.read_barcodes(picture)
    assert (read.format, read.text) == (zxingcpp.BarcodeFormat.QRCode, link)
    assert b"<svg" in qr_svg(link)
