"""The tariffs of a large utility: homes, shops and mills, and two by time of use."""

from typing import Any, Final

EFFECTIVE_FROM: Final = "2026-01-01"
_INR: Final = {"currency": "INR", "effective_from": EFFECTIVE_FROM}
_TAX: Final = {
    "code": "tax",
    "description": "Tax, 5%",
    "kind": "percent",
    "percent": "5",
    "tax": True,
}
_DEFINITIONS: Final = (
    {
        "code": "LARGE-HOME",
        "name": "Homes",
        **_INR,
        "charges": [
            {
                "code": "energy",
                "description": "Energy",
                "kind": "energy",
                "slab_limits_per": "bill",
                "slabs": [
                    {"up_to_kwh": "50", "rate": "3.15"},
                    {"up_to_kwh": "100", "rate": "3.70"},
                    {"up_to_kwh": "200", "rate": "5.60"},
                    {"rate": "7.60"},
                ],
            },
            {
                "code": "meter_rent",
                "description": "Meter rent",
                "kind": "fixed",
                "amount": "6.00",
                "per": "bill",
            },
            {**_TAX, "of": ["energy", "meter_rent"]},
        ],
    },
    {
        "code": "LARGE-SHOP",
        "name": "Shops",
        **_INR,
        "charges": [
            {
                "code": "fixed",
                "description": "Fixed charge",
                "kind": "fixed",
                "amount": "500.00",
                "per": "month",
                "proration": "days",
            },
            {"code": "energy", "description": "Energy", "kind": "energy", "rate": "8.80"},
            {**_TAX, "of": ["fixed", "energy"]},
        ],
    },
    {
        "code": "LARGE-MILL",
        "name": "Mills",
        **_INR,
        "charges": [
            {"code": "energy", "description": "Energy", "kind": "energy", "rate": "9.10"},
            {
                "code": "minimum",
                "description": "To the minimum for the connected load",
                "kind": "minimum",
                "amount": "196.00",
                "per": "month",
                "proration": "none",
                "times": "connected_kw",
                "of": ["energy"],
            },
            {**_TAX, "of": ["energy", "minimum"]},
        ],
    },
)
# Peak, normal and night hours of weekdays, and weekends; shops pay for the highest kW as well.
_BY_TIME: Final = {
    "time_of_use": {
        "order": ["peak", "normal", "night"],
        "periods": {
            "peak": [{"days": ["weekday"], "from": "18:00", "to": "22:00"}],
            "normal": [
                {"days": ["weekday"], "from": "06:00", "to": "18:00"},
                {"days": ["weekend"], "from": "06:00", "to": "22:00"},
            ],
            "night": [{"from": "22:00", "to": "06:00"}],
        },
    }
}
_ENERGY_BY_TIME: Final = {
    "code": "energy",
    "description": "Energy",
    "kind": "energy",
    "calendar": "time_of_use",
    "rates": {"peak": "9.60", "normal": "6.40", "night": "4.80"},
}
_HOURLY: Final = (
    {
        "code": "LARGE-HOME-TOU",
        "name": "Homes by time of use",
        **_INR,
        "calendars": _BY_TIME,
        "charges": [
            {
                "code": "service",
                "description": "Service charge",
                "kind": "fixed",
                "amount": "80.00",
                "per": "month",
                "proration": "days",
            },
            _ENERGY_BY_TIME,
            {**_TAX, "of": ["service", "energy"]},
        ],
    },
    {
        "code": "LARGE-SHOP-TOU",
        "name": "Shops by time of use and demand",
        **_INR,
        "calendars": _BY_TIME,
        "charges": [
            _ENERGY_BY_TIME,
            {
                "code": "demand",
                "description": "Demand",
                "kind": "demand",
                "quantity": "kw",
                "rate": "150.00",
            },
            {**_TAX, "of": ["energy", "demand"]},
        ],
    },
)


def definitions(*, effective_from: str) -> list[dict[str, Any]]:
    """All of them, from a date on."""
    return [{**one, "effective_from": effective_from} for one in (*_DEFINITIONS, *_HOURLY)]
