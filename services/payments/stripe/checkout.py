"""A page of Stripe on which somebody pays a bill who comes from the customer's own page.

It sends them back there, which a payment link cannot do for who pays nothing. Its metadata is that
of a link, so that what comes by it is counted in the same way.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import stripe

from services.integrations.http import ServiceUnavailable
from services.payments.stripe.client import as_ours, to_stripe_amount
from services.records.bills import Bill

# Stripe's least is 30 minutes.
_OPEN_FOR: Final = timedelta(minutes=31)


@dataclass(frozen=True, slots=True)
class StripeCheckout:
    """Opens such pages."""

    client: stripe.StripeClient

    def open(
        self, *, bill: Bill, form_id: str, success_url: str, cancel_url: str, now: datetime
    ) -> str:
        """The address of a page for exactly what is left of a bill; the same for the same form.

        Raises ServiceUnavailable, RequestRejected.
        """
        amount = to_stripe_amount(minor=bill.balance_minor, currency=bill.currency)
        known = {
            "bill_id": bill.id,
            "bill_number": bill.reference,
            "amount_minor": str(bill.balance_minor),
            "currency": bill.currency,
        }
        # Rounded, so that the same form asks for the same within a minute.
        until = int((now + _OPEN_FOR).timestamp()) // 60 * 60 + 60
        try:
            session = self.client.v1.checkout.sessions.create(
                {
                    "mode": "payment",
                    "line_items": [
                        {
                            "quantity": 1,
                            "price_data": {
                                "currency": bill.currency.lower(),
                                "unit_amount": amount,
                                "product_data": {"name": f"Electricity bill {bill.reference}"},
                            },
                        }
                    ],
                    "submit_type": "pay",
                    "metadata": known,
                    "payment_intent_data": {
                        "metadata": known,
                        "description": f"Electricity bill {bill.reference}",
                    },
                    "success_url": success_url,
                    "cancel_url": cancel_url,
                    "expires_at": until,
                },
                {"idempotency_key": f"checkout/{form_id}/{amount}-{bill.currency}/{until}"},
            )
            found = session.to_dict()
        except (stripe.StripeError, AttributeError) as error:
            as_ours(error, "the payment page")
        if not isinstance(found.get("url"), str) or not found["url"]:
            raise ServiceUnavailable("Stripe's answer has no page in it.")
        return str(found["url"])
