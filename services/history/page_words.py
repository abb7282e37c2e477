"""What is said of changes around a customer's own page: visits, requests, the end of links."""

from typing import Final

from services.history.entries import NamedChange, Said, link_to
from services.languages.sentence import N_, sentence

_CAME: Final = {
    "link": N_("Customer's page opened by a link"),
    "code": N_("Customer's page opened by a code"),
}
_CLOSED: Final = {
    "accepted": N_("Done"),
    "declined": N_("Declined"),
    "withdrawn": N_("Taken back by the customer"),
}


def visit(named: NamedChange) -> Said:
    """A browser was let in, showed a code, or signed out."""
    if named.is_new:
        how = _CAME.get(str(named.value("opened_by")), N_("Customer's page opened"))
        return Said(what=sentence(how))
    if named.changed("ended_at"):
        return Said(what=sentence("Signed out of the customer's page"))
    return Said(what=sentence("Customer's page: the code was right"))


def links(_: NamedChange) -> Said:
    """All links to the page were ended."""
    return Said(what=sentence("All links to the customer's page ended"))


def request(named: NamedChange) -> Said:
    """A customer asked for something, or it was closed."""
    if named.value("kind") == "dispute":
        bill = named.name("bill_id") or sentence("a bill")
        what = sentence("the customer disputes {bill}", bill=bill)
        asked = sentence("The customer disputes {bill}", bill=bill)
    else:
        on = named.shown("wanted_on")
        what = sentence("the customer moves out on {day}", day=on)
        asked = sentence("The customer moves out on {day}", day=on)
    link = link_to("bill", named.value("bill_id"))
    if named.is_new:
        return Said(what=asked, more=named.text("note"), link=link)
    closed = sentence(_CLOSED.get(str(named.value("state")), N_("Changed")))
    said = sentence("{closed}: {what}", closed=closed, what=what)
    return Said(what=said, more=named.text("answer"), link=link)


def autopay(named: NamedChange) -> Said:
    """A customer agreed to autopay, it began, paused, went on or ended."""
    method = " ".join(
        part for part in (str(named.value("brand") or ""), str(named.value("last4") or "")) if part
    )
    status = str(named.value("status"))
    if named.is_new:
        return Said(what=sentence("Autopay: the customer agreed"), more=named.text("consent"))
    if not named.changed("status"):
        return Said(
            what=sentence("Autopay: the card or what Stripe says of it changed"), more=method
        )
    said = {
        "active": N_("Autopay is on"),
        "paused": N_("Autopay is paused"),
        "ended": N_("Autopay has ended"),
        "confirming": N_("Autopay: the customer was at Stripe"),
    }
    why = {"paused": "paused_because", "ended": "ended_because"}.get(status)
    return Said(
        what=sentence(said.get(status, N_("Autopay changed"))),
        more=sentence(named.text(why)) if why else method,
    )
