"""Python runs this first where PYTHONPATH has this folder: Stripe is then the one of the tests."""

import os

from stripe import _stripe_client

_stripe_client.DEFAULT_API_BASE = os.environ["STRIPE_OF_THE_TESTS"]  # type: ignore[attr-defined]
