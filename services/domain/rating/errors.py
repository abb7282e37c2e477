"""Why a bill cannot be priced."""


class UnableToPriceBill(ValueError):
    """No bill can be computed from what was given; the message says why."""
