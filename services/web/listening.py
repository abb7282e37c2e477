"""Where the app may listen: on this machine alone, or beyond it over HTTPS with a real sign-in."""

import ipaddress
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit


class RefusedToListen(Exception):
    """The app is set to listen where strangers could reach it, or read what is sent to it."""


@dataclass(frozen=True, slots=True)
class Listening:
    """How the system starts: `address` is Streamlit's `server.address`, None every network."""

    address: str | None
    certificate: bool
    trusted_proxy: str | None
    public_url: str
    demo: bool


@dataclass(frozen=True, slots=True)
class Reach:
    """Who reaches the app: others than this machine (`beyond`), and what does the HTTPS then."""

    beyond: bool = False
    https: Literal["certificate", "proxy"] | None = None


def reach_of(start: Listening) -> Reach:
    """Who may reach the app; raises RefusedToListen with the sentence on what to set."""
    loopback = is_loopback(start.address or "")
    if loopback and start.trusted_proxy is None:
        return Reach()
    where = "behind a proxy" if loopback else _place(start.address)
    if start.demo:
        raise RefusedToListen(
            f"Refusing to listen {where}: in the demo a role is chosen without a password. "
            f"Set DEMO=off, {_or_stay(start)}"
        )
    if urlsplit(start.public_url).scheme != "https":
        raise RefusedToListen(
            f"Refusing to listen {where}: set PUBLIC_URL to the address that people open, such as "
            f"https://billing.example.org, {_or_stay(start)}"
        )
    if not start.certificate and start.trusted_proxy is None:
        raise RefusedToListen(
            f"Refusing to listen {where} without HTTPS: passwords and bills could be read on the "
            "way. Name the proxy that does it in TRUSTED_PROXY, or the files of a certificate in "
            f"STREAMLIT_SERVER_SSL_CERT_FILE and STREAMLIT_SERVER_SSL_KEY_FILE, {_or_stay(start)}"
        )
    return Reach(beyond=True, https="certificate" if start.certificate else "proxy")


def is_loopback(address: str) -> bool:
    """Whether an address, or the name localhost, is this machine's own loopback."""
    if address.lower() == "localhost":
        return True
    try:
        ip = ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        return False
    # Python before 3.13 does not look into ::ffff:127.0.0.1.
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_loopback


def _place(address: str | None) -> str:
    return f"on {address}" if address else "on every network of this machine"


def _or_stay(start: Listening) -> str:
    if is_loopback(start.address or ""):
        return "or leave TRUSTED_PROXY empty (docs/deploy.md)."
    return (
        "or listen on 127.0.0.1 (STREAMLIT_SERVER_ADDRESS, or server.address in "
        ".streamlit/config.toml; docs/deploy.md)."
    )
