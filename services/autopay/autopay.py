"""Autopay, put together: how it begins and ends, its charges, and the office's view."""

from dataclasses import dataclass

from services.autopay.charging import AutopayCharging
from services.autopay.office import AutopayOffice
from services.autopay.signing_up import AutopaySignUp


@dataclass(frozen=True, slots=True)
class Autopay:
    """Everything of autopay that does not belong to the customer's page."""

    sign_up: AutopaySignUp
    charging: AutopayCharging
    office: AutopayOffice

    @property
    def offered(self) -> bool:
        """Whether customers can set it up here."""
        return self.sign_up.offered
