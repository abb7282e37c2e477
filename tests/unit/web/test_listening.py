"""Each way to be set up: who gets in, or the sentence on what is missing."""

from dataclasses import replace

import pytest

from services.web.listening import Listening, Reach, RefusedToListen, is_loopback, reach_of

LOOPBACK = ["127.0.0.1", "127.0.0.2", "localhost", "::1", "[::1]", "::ffff:127.0.0.1"]
BEYOND = [None, "", "0.0.0.0", "::", "192.168.1.5", "example.org", "unix:///tmp/app.sock"]
LOCAL = Listening(
    address="127.0.0.1",
    certificate=False,
    trusted_proxy=None,
    public_url="http://localhost:8501",
    demo=True,
)
PUBLIC = replace(LOCAL, demo=False, public_url="https://billing.example.org")
PROXIED = replace(PUBLIC, trusted_proxy="127.0.0.1")
CERTIFIED = replace(PUBLIC, address="0.0.0.0", certificate=True)


@pytest.mark.parametrize("address", LOOPBACK)
@pytest.mark.parametrize("told", [LOCAL, PUBLIC, replace(PUBLIC, certificate=True)])
def test_on_loopback_without_a_proxy_only_this_machine_gets_in(
    address: str, told: Listening
) -> None:
    assert reach_of(replace(told, address=address)) == Reach()


@pytest.mark.parametrize("address", [*LOOPBACK, *BEYOND])
def test_behind_a_named_proxy_others_get_in(address: str | None) -> None:
    assert reach_of(replace(PROXIED, address=address)) == Reach(beyond=True, https="proxy")


@pytest.mark.parametrize("address", BEYOND)
def test_with_a_certificate_others_get_in(address: str | None) -> None:
    told = replace(CERTIFIED, address=address)
    assert reach_of(told) == Reach(beyond=True, https="certificate")
    behind = replace(told, trusted_proxy="10.1.0.0/24")
    assert reach_of(behind) == Reach(beyond=True, https="certificate")


@pytest.mark.parametrize("address", BEYOND)
@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({}, "TRUSTED_PROXY"),
        ({"public_url": "http://billing.example.org"}, "PUBLIC_URL"),
        ({"demo": True}, "DEMO=off"),
        ({"demo": True, "certificate": True}, "DEMO=off"),
        ({"demo": True, "trusted_proxy": "127.0.0.1"}, "DEMO=off"),
        ({"certificate": True, "public_url": "http://billing.example.org"}, "PUBLIC_URL"),
        ({"trusted_proxy": "127.0.0.1", "public_url": "http://a.example"}, "PUBLIC_URL"),
    ],
)
def test_anything_else_beyond_this_machine_is_refused_with_what_to_set(
    address: str | None, changed: dict[str, object], sentence: str
) -> None:
    with pytest.raises(RefusedToListen, match=sentence) as refused:
        reach_of(replace(PUBLIC, address=address, **changed))  # type: ignore[arg-type]
    assert (address or "every network") in str(refused.value)
    assert "127.0.0.1 (STREAMLIT_SERVER_ADDRESS" in str(refused.value)


@pytest.mark.parametrize("address", LOOPBACK)
@pytest.mark.parametrize(
    ("changed", "sentence"),
    [({"demo": True}, "DEMO=off"), ({"public_url": "http://localhost:8501"}, "PUBLIC_URL")],
)
def test_a_proxy_publishes_neither_the_demo_nor_what_has_no_https(
    address: str, changed: dict[str, object], sentence: str
) -> None:
    with pytest.raises(RefusedToListen, match=f"behind a proxy: .*{sentence}.*TRUSTED_PROXY empty"):
        reach_of(replace(PROXIED, address=address, **changed))  # type: ignore[arg-type]


@pytest.mark.parametrize("address", ["", "localhost.example", "128.0.0.1", "::", "::ffff:8.8.8.8"])
def test_what_is_not_loopback(address: str) -> None:
    assert not is_loopback(address)
