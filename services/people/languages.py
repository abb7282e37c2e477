"""In which language people read the office's pages."""

from collections.abc import Callable
from dataclasses import dataclass

from services.database.service import DatabaseService
from services.identity.auth import Principal
from services.languages.catalogues import OFFERED
from services.languages.language import Language, wanted


class UnknownLanguage(ValueError):
    """The pages are in no such language."""


@dataclass(frozen=True, slots=True)
class UserLanguages:
    """What people chose, else what their browser asks for, else the utility's language.

    `utility_language` answers an IETF tag.
    """

    database: DatabaseService
    utility_language: Callable[[], str]

    def of(self, principal: Principal | None, *, accept_language: str) -> Language:
        """The language of who is signed in, or of a browser; raises DatabaseError."""
        chosen = self.database.user_language(user=principal.user) if principal else None
        if chosen in OFFERED:
            return Language.of(chosen)
        return self.of_browser(accept_language)

    def of_browser(self, accept_language: str) -> Language:
        """The language that a browser asks for by its Accept-Language header."""
        return wanted(accept_language, otherwise=self.utility_language())

    def chosen(self, principal: Principal) -> str | None:
        """What somebody chose; None where they go by their browser."""
        return self.database.user_language(user=principal.user)

    def choose(self, language: str, *, principal: Principal) -> None:
        """Keep somebody's own choice; raises UnknownLanguage."""
        if language not in OFFERED:
            raise UnknownLanguage(f"The pages are not in {language[:20]!r}.")
        self.database.choose_user_language(actor=principal.user, language=language)
