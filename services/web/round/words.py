"""What the round's scripts say, in each language: the page keeps it for where no network is."""

from typing import Any, Final

from services.languages.language import Language
from services.languages.sentence import N_, NN_, P_

TEXTS: Final = (
    N_("Accepted"),
    N_("All seen"),
    N_("Back to the reading"),
    N_("Billed: {amount}."),
    N_("CSV"),
    N_("Choose why the meter could not be read."),
    N_("Choose your route"),
    N_("Choose …"),
    N_("Connected. Everything is sent."),
    N_("Connecting …"),
    N_("Correct it"),
    N_("Could not read it"),
    N_("Could not read"),
    N_("Customer"),
    N_("Done"),
    N_("Earlier results"),
    N_("Excel"),
    N_("Expected is {expected}. If the meter shows it, send it: the office looks at it first."),
    N_("Expected"),
    N_("For another device:"),
    N_("(filled in, the office imports it as readings)"),
    N_("Last read"),
    N_("Last {value}"),
    N_("More routes"),
    N_("Needs review"),
    N_("Next meter"),
    N_("No place has a meter that is read by hand."),
    N_("No round"),
    N_("Not accepted"),
    N_("Not billed yet: {why}"),
    N_("Not read today: {reason}"),
    N_("Not read"),
    N_("Note"),
    N_("Noted"),
    N_("Nothing is left to read on this route."),
    N_("Open this page once while you are connected."),
    N_("Other pages"),
    N_("Other route"),
    N_("Photo of the dial (optional)"),
    N_("Photo of the dial"),
    N_("Photo (optional)"),
    N_("Photo"),
    N_("Place"),
    N_("Reading (kWh)"),
    N_("Reading round"),
    N_("Really {kwh} kWh?"),
    N_("Refresh"),
    N_("Refused"),
    N_("Remove the photo"),
    N_("Result"),
    N_("Route {route}"),
    N_("Seen"),
    N_("Seen: {meter}"),
    N_("Send reading"),
    N_("Show all {count}"),
    N_("Sign in again to go on."),
    N_("Sign in"),
    N_("Sign in, then choose Today’s round"),
    N_("The meter shows it"),
    N_("The office asks for a new reading: {reason}"),
    N_("The office sees that it could not be read."),
    N_("The photo was not kept: {problem}"),
    N_("The system refused this."),
    N_("There is no connection."),
    N_(
        "This browser keeps no data for this page, so the round does not work in it. Leave private "
        "browsing."
    ),
    N_("This file is not a photo that can be used. Take another one."),
    N_("This phone has no room left to keep what you typed. Free some, or go on without a photo."),
    N_(
        "This phone has no room left. Free some, or this page keeps nothing for when there is no "
        "connection."
    ),
    N_("A reading of this meter waits for the office under Exceptions."),
    N_("To read"),
    N_("Try again later."),
    N_("Type the number without commas between its digits, such as 1117 or 1117.5."),
    N_("Type what the meter shows."),
    N_("Vacant"),
    N_("Waits to be sent"),
    N_("What you typed is kept on this phone."),
    N_("Why it could not be read"),
    N_("Without a route"),
    N_("Write why the meter could not be read."),
    N_("all read"),
    N_("it was refused."),
    N_("none"),
    N_("not known yet"),
    N_("not read: {reason}"),
    N_("on {day}"),
    N_("still to read {count}"),
    N_("{asked} to read again"),
    N_("{kwh} kWh on {day}"),
    N_("{missed} not read today"),
    N_("{still} to read"),
    N_("“{typed}” is not a number that a meter shows. Type it such as 1117 or 1117.5."),
)
# How a meter stands: elsewhere these are a button, and what somebody did.
STATES: Final = (P_("state of a meter", "Read"), P_("state of a meter", "Read again"))
COUNTED: Final = (
    NN_("And {count} more after these.", "And {count} more after these."),
    NN_("{count} meter", "{count} meters"),
    NN_(
        "This meter shows {count} digit before the point; you typed more.",
        "This meter shows {count} digits before the point; you typed more.",
    ),
    NN_(
        "{count} entry kept on this phone, to be sent.",
        "{count} entries kept on this phone, to be sent.",
    ),
    NN_(
        "{count} of them as {user}: sign in as {user} to send them.",
        "{count} of them as {user}: sign in as {user} to send them.",
    ),
)
# A number of each category of CLDR, by whose names a browser chooses among the forms.
_NUMBER_OF: Final = {"zero": 0, "one": 1, "two": 2, "few": 3, "many": 11, "other": 100}


def words_json(language: Language) -> dict[str, Any]:
    """A language for the scripts: its tag, its direction, and its texts by the English one.

    A text about a number has its forms by category of CLDR, under the English singular.
    """
    said = language.catalogue
    counted = {
        one: {name: said.ngettext(one, many, number) for name, number in _NUMBER_OF.items()}
        for one, many in COUNTED
    }
    return {
        "tag": language.tag,
        "direction": language.direction,
        "texts": {text: said.gettext(text) for text in TEXTS}
        | {text: said.pgettext("state of a meter", text) for text in STATES},
        "counted": counted,
    }
