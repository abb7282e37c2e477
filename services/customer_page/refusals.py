"""What SQL functions answer customers, marked for the catalogues: the sentences stand in SQL."""

from typing import Final

from services.languages.sentence import N_

SAID_BY_SQL: Final = (
    N_("This link was ended."),
    N_("This bill is void: there is nothing to pay of it."),
    N_(
        "This bill is paid, so no payment can be held back. If it is wrong, call or visit us: what "
        "was charged too much is given back."
    ),
    N_("You have asked us to look at this bill already. We will answer here."),
    N_("You have told us already that you move out. Take that back first to give another day."),
    N_("This request was closed meanwhile."),
    N_("This form was sent before: open it again."),
    N_("This autopay has ended: set it up again."),
    N_("There is another reading of this meter at that time already."),
    N_("Another value was stored for one of these meters at the very same time."),
)
