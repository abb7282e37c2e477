"""What the events of the security log are called."""

from typing import Final

from pages.languages.words import Said
from services.languages.sentence import N_

EVENT_NAMES: Final[Said[str, str]] = Said(
    {
        "sign_in": N_("Signed in"),
        "sign_out": N_("Signed out"),
        "session_ended": N_("Sign-in ended"),
        "user_dismissed": N_("Dismissed"),
        "user_readmitted": N_("May sign in again"),
        "link_opened": N_("Sign-in link opened"),
        "link_refused": N_("Sign-in link refused"),
        "refused": N_("Refused"),
        "denied": N_("Not allowed"),
        "key_made": N_("API key made"),
        "key_revoked": N_("API key revoked"),
        "key_first_used": N_("API key first used"),
        "user_invited": N_("User invited"),
        "user_changed": N_("User changed"),
        "password_link_made": N_("Link for a password made"),
        "password_set": N_("Password set"),
        "code_turned_on": N_("Authenticator app set up"),
        "code_turned_off": N_("Authenticator app removed"),
        "recovery_code_used": N_("Recovery code used"),
        "name_guessed": N_("Password guessed at"),
    }
)
