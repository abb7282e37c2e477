"""The first script of every visit: sign-in, then the pages of the signed-in role."""

from collections.abc import Callable

import streamlit as st

from pages.shell import calm, services, sign_out, who_is_signed_in
from pages.sign_in import show_no_role, show_sign_in, show_unavailable
from pages.words import plain
from services.auth import NotAllowed, NotSignedIn, Principal, Role, SignInUnavailable

# File, address, title, icon; by section, each with the role that sees it in the menu.
_SECTIONS = {
    "Field work": (
        Role.ENGINEER,
        (
            ("engineer/submit_reading.py", "submit-reading", "Submit reading", "speed"),
            ("engineer/my_readings.py", "my-readings", "My readings", "history"),
        ),
    ),
    "Office": (
        Role.ADMIN,
        (
            ("admin/overview.py", "overview", "Overview", "monitoring"),
            ("admin/flagged_readings.py", "flagged-readings", "Flagged readings", "flag"),
            ("admin/drafts.py", "drafts", "Drafts", "fact_check"),
            ("admin/bills.py", "bills", "Bills", "receipt_long"),
        ),
    ),
    "Money": (
        Role.ADMIN,
        (
            ("admin/customers.py", "customers", "Customers", "group"),
            ("admin/payments.py", "payments", "Payments", "payments"),
            ("admin/reconciliation.py", "reconciliation", "Reconciliation", "compare_arrows"),
            ("admin/books.py", "books", "Month's books", "menu_book"),
        ),
    ),
    "System": (
        Role.ADMIN,
        (
            ("admin/tariffs.py", "tariffs", "Tariffs", "price_change"),
            ("admin/network.py", "network", "Network", "hub"),
            ("admin/jobs.py", "jobs", "Jobs", "event_repeat"),
            ("admin/notifications.py", "notifications", "Notifications", "notifications"),
            ("admin/api_keys.py", "api-keys", "API keys", "key"),
            ("admin/sign_ins.py", "sign-ins", "Sign-ins", "badge"),
            ("admin/security_log.py", "security-log", "Security log", "security"),
            ("admin/services.py", "services", "Services", "lan"),
        ),
    ),
}
# Reached from a list, so in no menu.
_DETAILS = (
    ("bill.py", "bill", "Bill"),
    ("admin/payment.py", "payment", "Payment"),
    ("admin/record_payment.py", "record-payment", "Record a payment"),
    ("admin/stripe_events.py", "stripe-events", "Stripe's events"),
    ("admin/customer.py", "customer", "Customer"),
    ("admin/flagged_reading.py", "flagged-reading", "Flagged reading"),
    ("admin/tariff.py", "tariff", "Tariff"),
    ("admin/tariff_editor.py", "tariff-editor", "Write a tariff"),
    ("admin/correct_bill.py", "correct-bill", "Correct a bill"),
    ("admin/tariff_correction.py", "tariff-correction", "Correct a tariff"),
)


def main() -> None:
    """Show the sign-in page alone, or the page that was asked for."""
    name = services().settings.utility_name
    st.set_page_config(page_title=name, page_icon="⚡", layout="wide")
    try:
        principal = who_is_signed_in()
    except NotSignedIn as error:
        _instead_of_pages(show_sign_in, str(error))
        return
    except NotAllowed as error:
        _instead_of_pages(show_no_role, str(error))
        return
    except SignInUnavailable as error:
        _instead_of_pages(show_unavailable, str(error))
        return
    page = st.navigation(_menu(principal), expanded=True)
    _sidebar(principal)
    with st.container(width="stretch", horizontal_alignment="center"), st.container(width=1080):
        _demo_banner()
        with calm():
            page.run()


def _instead_of_pages(show: Callable[[str], None], reason: str) -> None:
    # Under every address there is, so that a deep link is kept for after the sign-in.
    def sign_in() -> None:
        show(reason)

    paths = [path for _, pages in _SECTIONS.values() for _, path, _, _ in pages]
    paths += [path for _, path, _ in _DETAILS]
    pages = [st.Page(sign_in, title="Sign in", url_path=path) for path in paths]
    home = st.Page(sign_in, title="Sign in", url_path="home", default=True)
    page = st.navigation([home, *pages], position="hidden")
    with calm():
        page.run()


def _menu(principal: Principal) -> dict[str, list[st.Page]]:
    """The pages by section; those of another role are hidden, and say so when they are opened."""
    menu = {"": [st.Page("home.py", title="Home", default=True, visibility="hidden")]}
    menu[""] += [
        st.Page(file, url_path=path, title=title, visibility="hidden")
        for file, path, title in _DETAILS
    ]
    for section, (role, pages) in _SECTIONS.items():
        seen = principal.role in {role, Role.ADMIN}
        menu[section if seen else ""] = menu.get(section if seen else "", []) + [
            st.Page(
                file,
                url_path=path,
                title=title,
                icon=f":material/{icon}:",
                visibility="visible" if seen else "hidden",
            )
            for file, path, title, icon in pages
        ]
    return menu


def _sidebar(principal: Principal) -> None:
    with st.sidebar:
        st.caption(f"{plain(services().settings.utility_name)}")
        role = "Administrator" if principal.role is Role.ADMIN else "Field engineer"
        st.markdown(f"**{plain(principal.user)}**  \n{role}")
        if st.button("Sign out", icon=":material/logout:", width="stretch", key="sign-out"):
            sign_out()


def _demo_banner() -> None:
    if services().settings.demo:
        st.markdown(
            ":small[:blue-background[:material/science: Demo utility — figures are made from real "
            "load data; nothing is sent to anybody.]]"
        )


main()
