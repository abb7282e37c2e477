"""The link to a customer's own page in what is sent to them. No log has it: it lets people in."""

from collections.abc import Callable
from dataclasses import dataclass

from services.database.transport import DatabaseError
from services.integrations.http import ServiceUnavailable
from services.languages.language import ENGLISH_LANGUAGE, Language


@dataclass(frozen=True, slots=True)
class PageLink:
    """Links to customers' pages below `address` (without a slash at its end).

    `make` answers the link of a customer by their id; it raises DatabaseError.
    """

    address: str
    make: Callable[[str], str]

    @property
    def shown(self) -> str:
        """What the log has in the place of a link."""
        return f"{self.address}/my/…"

    def of(self, customer_id: str) -> str:
        """The link of a customer; raises ServiceUnavailable."""
        try:
            return self.make(customer_id)
        except DatabaseError as error:
            raise ServiceUnavailable(f"The link could not be made: {error}") from None


def with_link(text: str, link: str | None, language: Language = ENGLISH_LANGUAGE) -> str:
    """A text with the way to the page on a line of its own."""
    lead = language.gettext("Your bills, use and payments:")
    return f"{text}\n\n{lead}\n{link}" if link else text


def with_short_link(text: str, link: str | None) -> str:
    """The same where each letter is paid for."""
    return f"{text} {link}" if link else text
