"""What the events of the security log are called."""

from typing import Final

EVENT_NAMES: Final[dict[str, str]] = {
    "sign_in": "Signed in",
    "sign_out": "Signed out",
    "session_ended": "Sign-in ended",
    "user_dismissed": "Dismissed",
    "user_readmitted": "May sign in again",
    "link_opened": "Sign-in link opened",
    "link_refused": "Sign-in link refused",
    "refused": "Refused",
    "denied": "Not allowed",
    "key_made": "API key made",
    "key_revoked": "API key revoked",
    "key_first_used": "API key first used",
    "user_invited": "User invited",
    "user_changed": "User changed",
    "password_link_made": "Link for a password made",
    "password_set": "Password set",
    "code_turned_on": "Authenticator app set up",
    "code_turned_off": "Authenticator app removed",
    "recovery_code_used": "Recovery code used",
    "name_guessed": "Password guessed at",
}
