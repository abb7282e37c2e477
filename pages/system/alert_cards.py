"""The operations alerts on the Services page: what is wrong now, and what was lately."""

import streamlit as st

from pages.shared.format import escaped, moment
from pages.shared.session import services, zone
from services.database.errors import TemporaryDatabaseError
from services.identity.auth import Principal
from services.operation.alerts import title_of
from services.records.jobs import OperationsAlert


def show_alerts(principal: Principal) -> None:
    """Alerts that are not over, then the latest that are; nothing where there never was one."""
    try:
        alerts = services().alert_book.latest(principal=principal)
    except TemporaryDatabaseError:
        # The database's own card says so.
        return
    for alert in (a for a in alerts if a.resolved_at is None):
        since = moment(alert.since, zone())
        st.error(
            f"**{escaped(title_of(alert.condition))}** since {since}. {escaped(alert.sentence)}"
            f"  \n{_who_was_told(alert)}",
            icon=":material/notification_important:",
        )
    over = [alert for alert in alerts if alert.resolved_at is not None]
    if over:
        with st.expander("Alerts that are over", icon=":material/history:"):
            for alert in over:
                _show_over(alert)


def _show_over(alert: OperationsAlert) -> None:
    until = moment(alert.resolved_at, zone()) if alert.resolved_at else ""
    st.markdown(f"**{escaped(title_of(alert.condition))}**: {escaped(alert.sentence)}")
    st.caption(f"{moment(alert.since, zone())} – {until}. {_who_was_told(alert)}")


def _who_was_told(alert: OperationsAlert) -> str:
    """Which channels know that it began, beside the log."""
    names = {"discord": "Discord", "mail": "e-mail"}
    sent = [name for channel, name in names.items() if not alert.is_untold(channel, "begin")]
    return f"Sent by {' and '.join(sent)}." if sent else "In the log alone."
