"""The operations alerts on the Services page: what is wrong now, and what was lately."""

import streamlit as st

from pages.languages.words import _, say
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
            _(
                "**{title}** since {since}. {sentence}",
                title=escaped(_(title_of(alert.condition))),
                since=since,
                sentence=escaped(say(alert.sentence)),
            )
            + f"  \n{_who_was_told(alert)}",
            icon=":material/notification_important:",
        )
    over = [alert for alert in alerts if alert.resolved_at is not None]
    if over:
        with st.expander(_("Alerts that are over"), icon=":material/history:"):
            for alert in over:
                _show_over(alert)


def _show_over(alert: OperationsAlert) -> None:
    until = moment(alert.resolved_at, zone()) if alert.resolved_at else ""
    st.markdown(f"**{escaped(_(title_of(alert.condition)))}**: {escaped(say(alert.sentence))}")
    st.caption(f"{moment(alert.since, zone())} – {until}. {_who_was_told(alert)}")


def _who_was_told(alert: OperationsAlert) -> str:
    """Which channels know that it began, beside the log."""
    by_discord = not alert.is_untold("discord", "begin")
    by_mail = not alert.is_untold("mail", "begin")
    if by_discord and by_mail:
        return _("Sent by Discord and e-mail.")
    if by_discord:
        return _("Sent by Discord.")
    return _("Sent by e-mail.") if by_mail else _("In the log alone.")
