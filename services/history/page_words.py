"""What is said of changes around a customer's own page: visits, requests, the end of links."""

from typing import Final

from services.history.entries import NamedChange, Said, link_to

_CAME: Final = {"link": "by a link", "code": "by a code"}
_CLOSED: Final = {
    "accepted": "Done",
    "declined": "Declined",
    "withdrawn": "Taken back by the customer",
}


def visit(named: NamedChange) -> Said:
    """A browser was let in, showed a code, or signed out."""
    if named.is_new:
        how = _CAME.get(str(named.value("opened_by")), "")
        return Said(what=f"Customer's page opened {how}".rstrip())
    if named.changed("ended_at"):
        return Said(what="Signed out of the customer's page")
    return Said(what="Customer's page: the code was right")


def links(_: NamedChange) -> Said:
    """All links to the page were ended."""
    return Said(what="All links to the customer's page ended")


def request(named: NamedChange) -> Said:
    """A customer asked for something, or it was closed."""
    if named.value("kind") == "dispute":
        what = f"disputes {named.name('bill_id') or 'a bill'}"
    else:
        what = f"moves out on {named.shown('wanted_on')}"
    link = link_to("bill", named.value("bill_id"))
    if named.is_new:
        note = str(named.value("note") or "")
        return Said(what=f"The customer {what}", more=note, link=link)
    closed = _CLOSED.get(str(named.value("state")), "Changed")
    answer = str(named.value("answer") or "")
    return Said(what=f"{closed}: the customer {what}", more=answer, link=link)


def autopay(named: NamedChange) -> Said:
    """A customer agreed to autopay, it began, paused, went on or ended."""
    method = " ".join(
        part for part in (str(named.value("brand") or ""), str(named.value("last4") or "")) if part
    )
    status = str(named.value("status"))
    if named.is_new:
        return Said(what="Autopay: the customer agreed", more=str(named.value("consent") or ""))
    if not named.changed("status"):
        return Said(what="Autopay: the card or what Stripe says of it changed", more=method)
    said = {
        "active": "Autopay is on",
        "paused": "Autopay is paused",
        "ended": "Autopay has ended",
        "confirming": "Autopay: the customer was at Stripe",
    }
    why = {"paused": "paused_because", "ended": "ended_because"}.get(status)
    return Said(
        what=said.get(status, "Autopay changed"),
        more=str(named.value(why) or "") if why else method,
    )
