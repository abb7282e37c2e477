"""How calls of providers fail: for a while, or for good."""


class TemporaryFailure(Exception):
    """A provider did not do it this time: trying again may help."""


class FinalFailure(Exception):
    """A provider will not do it however often it is asked: a person must look."""
