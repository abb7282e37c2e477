"""The first script of every visit: sign-in, then the pages of the signed-in role."""

from collections.abc import Callable

import streamlit as st

from pages import registry
from pages.languages.chosen import speak_to
from pages.languages.direction import show_direction
from pages.languages.words import _
from pages.not_there import show_not_there, unknown_path
from pages.shared.format import escaped
from pages.shared.header import name_tab, show_logo
from pages.shared.history import keep_history
from pages.shared.number_field import show_numeric_keyboards
from pages.shared.search_box import offer_search
from pages.shared.session import (
    called,
    error_boundary,
    exchange_sign_in,
    services,
    sign_out,
    who_is_signed_in,
)
from pages.sign_ins.sign_in import show_no_role, show_sign_in, show_unavailable
from services.identity.auth import NotAllowed, NotSignedIn, Principal, SignInUnavailable
from services.identity.permissions import ROLE_NAMES, in_order
from services.languages.sentence import N_

# By section. Each page is shown to those who may open it.
_SECTIONS = {
    N_("Field work"): (
        registry.SUBMIT_READING,
        registry.MY_READINGS,
        registry.WORK_ORDERS,
    ),
    N_("Office"): (
        registry.OVERVIEW,
        registry.FLAGGED_READINGS,
        registry.ROUNDS,
        registry.SMART_METERS,
        registry.BILL_RUNS,
        registry.DRAFTS,
        registry.BILLS,
        registry.CREDIT_NOTES,
        registry.APPROVALS,
    ),
    N_("Money"): (
        registry.CUSTOMERS,
        registry.CUSTOMER_REQUESTS,
        registry.LETTERS,
        registry.SERVICE_POINTS,
        registry.PAYMENTS,
        registry.CASH_DAY,
        registry.BANK_LINES,
        registry.AUTOPAY,
        registry.DUNNING,
        registry.RECONCILIATION,
        registry.BOOKS,
        registry.REPORTS,
    ),
    N_("System"): (
        registry.SETTINGS,
        registry.IMPORTS,
        registry.EXPORT,
        registry.TARIFFS,
        registry.NETWORK,
        registry.JOBS,
        registry.NOTIFICATIONS,
        registry.USERS,
        registry.PERMISSIONS,
        registry.API_KEYS,
        registry.SIGN_INS,
        registry.SECURITY_LOG,
        registry.SERVICES,
    ),
}
# Reached from a list, so in no menu.
_DETAILS = (
    registry.BILL,
    registry.PAYMENT,
    registry.RECORD_PAYMENT,
    registry.STRIPE_EVENTS,
    registry.REPORT,
    registry.SEARCH,
    registry.CUSTOMER,
    registry.METER,
    registry.SERVICE_POINT,
    registry.CHANGE_SUPPLY,
    registry.CONNECT,
    registry.FLAGGED_READING,
    registry.ESTIMATE_READING,
    registry.TARIFF,
    registry.TARIFF_EDITOR,
    registry.CORRECT_BILL,
    registry.CORRECT_READING,
    registry.TARIFF_CORRECTION,
    registry.USER,
    registry.INVITE_USER,
    registry.MY_ACCOUNT,
)


def main() -> None:
    """Show the sign-in page alone, or the page that was asked for."""
    name = services().settings.utility_name
    st.set_page_config(page_title=name, page_icon="⚡", layout="wide")
    speak_to(None)
    try:
        principal = who_is_signed_in()
        speak_to(principal)
        exchange_sign_in()
    except NotSignedIn as error:
        _instead_of_pages(show_sign_in, str(error))
        return
    except NotAllowed as error:
        _instead_of_pages(show_no_role, str(error))
        return
    except SignInUnavailable as error:
        _instead_of_pages(show_unavailable, str(error))
        return
    show_logo(or_name=True)
    page = st.navigation(_menu(principal), expanded=True)
    # A page about one thing says which, later on.
    name_tab(page.title)
    _sidebar(principal)
    with st.container(width="stretch", horizontal_alignment="center"), st.container(width=1080):
        if principal.may(*registry.SEARCH.needs) and page.url_path != registry.SEARCH.path:
            with st.container(horizontal=True, horizontal_alignment="right"):
                offer_search()
        # A page may end its run early: what stands below it is drawn before.
        body = st.container()
        _demo_banner()
        with body, error_boundary():
            page.run()


def _instead_of_pages(show: Callable[[str], None], reason: str) -> None:
    # Under every address there is, so that a deep link is kept for after the sign-in.
    show_logo(or_name=False)

    def sign_in() -> None:
        show_direction()
        show(reason)

    paths = [page.path for pages in _SECTIONS.values() for page in pages]
    paths += [page.path for page in _DETAILS]
    paths += filter(None, [unknown_path({"home", *paths})])
    pages = [st.Page(sign_in, title=_("Sign in"), url_path=path) for path in paths]
    home = st.Page(sign_in, title=_("Sign in"), url_path="home", default=True)
    page = st.navigation([home, *pages], position="hidden")
    with error_boundary():
        page.run()


def _menu(principal: Principal) -> dict[str, list[st.Page]]:
    """The pages by section; those not for them are hidden, and say so when they are opened."""
    menu = {"": [st.Page(registry.HOME.script, title=_("Home"), default=True, visibility="hidden")]}
    menu[""] += [
        st.Page(page.script, url_path=page.path, title=_(page.title), visibility="hidden")
        for page in _DETAILS
    ]
    for section, pages in _SECTIONS.items():
        for page in pages:
            seen = principal.may(*page.needs)
            menu.setdefault(_(section) if seen else "", []).append(
                st.Page(
                    page.script,
                    url_path=page.path,
                    title=_(page.title),
                    icon=f":material/{page.icon}:",
                    visibility="visible" if seen else "hidden",
                )
            )
    known = {registry.HOME.path, *(page.url_path for pages in menu.values() for page in pages)}
    if path := unknown_path(known):
        menu[""].append(
            st.Page(show_not_there, title=_("Not found"), url_path=path, visibility="hidden")
        )
    return menu


def _sidebar(principal: Principal) -> None:
    with st.sidebar:
        # Where a logo stands above the menu, the name stands here.
        if services().settings.logo:
            st.caption(f"{escaped(services().settings.utility_name)}")
        roles = ", ".join(_(ROLE_NAMES[role]) for role in in_order(principal.roles))
        st.markdown(f"**{escaped(called(principal.user))}**  \n{roles}")
        st.page_link(
            registry.MY_ACCOUNT.script, label=_("My account"), icon=":material/account_circle:"
        )
        if st.button(_("Sign out"), icon=":material/logout:", width="stretch", key="sign-out"):
            sign_out()
        # Here, where it moves no title.
        show_direction()
        keep_history()
        show_numeric_keyboards()


def _demo_banner() -> None:
    if services().settings.demo:
        st.markdown(
            _(
                ":small[:blue-background[:material/science: Demo utility — figures are made "
                "from real load data; nothing is sent to anybody.]]"
            )
        )


main()
