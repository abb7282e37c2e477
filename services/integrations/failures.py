"""How calls of providers fail: for a while, or for good."""


class TemporaryFailure(Exception):
    """An outside service did not do it this time: trying again may help."""


class FinalFailure(Exception):
    """An outside service will not do it however often it is asked: a person must look."""
