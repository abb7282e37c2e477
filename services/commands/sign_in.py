"""Commands that let somebody or a program in: sign-in, token, api-key."""

import argparse
from datetime import timedelta
from typing import get_args

from services.bootstrap import passwordless_for, tokens_for
from services.commands.arguments import Commands, add_role, days, hours
from services.commands.working import actor, say, utc_now, working
from services.container import Services
from services.database.errors import IllegalChange
from services.identity.api_keys import DEFAULT_LIFETIME, make_api_key
from services.identity.auth import TOKEN_LIFETIME, Scope
from services.identity.passwordless import SignInLinks
from services.identity.permissions import Role
from services.people.links import link_with
from services.people.users import UnusableUser
from services.settings import Settings


def add_sign_in(commands: "Commands[argparse.ArgumentParser]") -> None:
    """The command sign-in."""
    command = commands.add_parser(
        "sign-in",
        help="print a link that signs a browser on this machine in without a password",
        description="The link works once, within 12 hours, while the app runs. Once there are "
        "users, people sign in with their passwords: then --recover prints a link by which an "
        "administrator sets a new one.",
    )
    command.add_argument(
        "--recover",
        metavar="NAME",
        help="print a link by which this administrator sets a new password, within an hour",
    )
    command.set_defaults(run=_sign_in)


def add_token(commands: "Commands[argparse.ArgumentParser]") -> None:
    """The command token."""
    command = commands.add_parser("token", help="print a token (JWT) to sign in with")
    command.add_argument("--user", required=True, help="who it stands for")
    add_role(command)
    default = TOKEN_LIFETIME // timedelta(hours=1)
    command.add_argument(
        "--hours", type=hours, default=default, help=f"how long it is good for ({default})"
    )
    command.set_defaults(run=_token)


def add_api_key(commands: "Commands[argparse.ArgumentParser]") -> None:
    """The command api-key."""
    command = commands.add_parser("api-key", help="make a key for a program, shown once")
    command.add_argument("name", metavar="NAME", help="which program it is for")
    add_role(command)
    command.add_argument(
        "--scope",
        choices=get_args(Scope),
        default="all",
        help="what it is for: all that the role may, or one thing alone (%(default)s)",
    )
    command.add_argument(
        "--days",
        type=days,
        default=DEFAULT_LIFETIME.days,
        help="how long it is good for (%(default)s)",
    )
    command.set_defaults(run=_api_key)


def _sign_in(given: argparse.Namespace, settings: Settings) -> int:
    passwordless = passwordless_for(settings)
    if passwordless is None:
        say("With AUTH0_DOMAIN set, people sign in through Auth0: open the app and sign in there.")
        return 1
    if given.recover is None and settings.demo:
        print(passwordless.links.make(utc_now()))
        return 0
    with working(settings) as services:
        if given.recover is not None:
            return _recover(given.recover, services, passwordless.links)
        if not services.users.exist():
            print(passwordless.links.make(utc_now()))
            return 0
        names = ", ".join(services.users.administrators())
    say(
        f"People sign in with their passwords: {passwordless.links.address()}\n"
        f"An administrator who forgot theirs: sign-in --recover NAME ({names})"
    )
    return 1


def _recover(name: str, services: Services, links: SignInLinks) -> int:
    try:
        code = services.users.recovery_link(sign_in_name=name, actor=actor(), now=utc_now())
    except (UnusableUser, IllegalChange) as error:
        say(str(error))
        return 1
    print(link_with(code, links.address()))
    return 0


def _token(given: argparse.Namespace, settings: Settings) -> int:
    lifetime = timedelta(hours=given.hours)
    print(tokens_for(settings).issue(given.user, Role(given.role), utc_now(), lifetime))
    return 0


def _api_key(given: argparse.Namespace, settings: Settings) -> int:
    with working(settings) as services:
        key = make_api_key(
            services.database,
            actor=actor(),
            name=given.name,
            role=Role(given.role),
            expires_at=utc_now() + timedelta(days=given.days),
            scope=given.scope,
        )
    print(key)
    say("Keep it now: it is shown this once.")
    return 0
