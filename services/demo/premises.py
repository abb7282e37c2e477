"""Who the demo utility supplies: premises, their meters, and what is to be seen at each."""

from dataclasses import dataclass
from typing import Literal

Shape = Literal["home", "shop"]
# What is special about a meter's latest readings; see services/demo/reads.py.
Story = Literal[
    "", "not_read", "draft", "below_last", "too_high", "zero_use", "check_read", "to_try"
]

KSEB = "KSEB-LT1A"
DELHI_HOME = "DELHI-DOM-3KW"
DELHI_SHOP = "DELHI-NDLT-5KW"
SOLAR_HOME = "SOLAR-HOME"
TARIFF_FILES = (
    *("kseb-lt1a.json", "delhi-domestic-3kw.json", "delhi-shops-5kw.json"),
    "solar-net-metering.json",
)

TO_TRY = "DEMO-1000"
TO_TRY_DAYS = 31

_HOME_STREETS = ("Canal Road", "Lake View Road", "Temple Lane", "Palm Avenue", "School Road")
_SHOPS = (
    "Canal Road Bakery",
    "Market Street Pharmacy",
    "Station Road Tea House",
    "Mill Lane Hardware",
    "Market Street Grocery",
    "School Road Stationery",
    "Palm Avenue Tailors",
    "River Street Laundry",
    "Hill Road Workshop",
    "Station Road Books",
    "Temple Lane Flowers",
    "Market Street Cold Store",
    "Station Road Petrol Pump",
)
# The first meters of the list, so that their serials are the ones that people type first.
_STORIES: dict[int, Story] = {
    **dict.fromkeys(range(101, 107), "not_read"),
    **dict.fromkeys((107, 131), "draft"),
    108: "below_last",
    109: "too_high",
    110: "zero_use",
    111: "check_read",
}
_ROLLS_OVER = 112
_HAS_PANELS = 116
_SMART_HOMES = 4


@dataclass(frozen=True, slots=True)
class Premises:
    """One customer with one meter; `daily_wh` is the mean use of a day, after the multiplier."""

    account_no: str
    name: str
    serial: str
    tariff_code: str
    daily_wh: int
    shape: Shape = "home"
    kind: Literal["manual", "smart"] = "manual"
    dials: int = 5
    multiplier: int = 1
    opening_kwh: int = 1000
    story: Story = ""

    @property
    def number(self) -> int:
        """The account's number, which spreads what differs between customers."""
        return int(self.account_no.removeprefix("D-"))

    @property
    def is_solar(self) -> bool:
        """Whether it sends energy to the grid too."""
        return self.tariff_code == SOLAR_HOME

    @property
    def address(self) -> str:
        """Where it is."""
        return f"{self.name}, {self.ward}"

    @property
    def ward(self) -> str:
        """The part of the town, whose meters are read on one route."""
        return f"Ward {self.number % 6 + 1}"

    @property
    def access_note(self) -> str:
        """What whoever reads the meter must know; empty for most."""
        if self.number % 9 == 0:
            return "Ring at the gate; the meter is behind the house."
        return "The shop next door has the key." if self.number % 11 == 0 else ""

    @property
    def email(self) -> str:
        """Empty for most; else at a domain that belongs to nobody."""
        return f"customer-{self.number}@example.org" if self.number % 3 == 0 else ""

    @property
    def phone(self) -> str:
        """Empty for most; else under a country code that was never given out."""
        return f"+999 0000 {self.number}" if self.number % 4 == 0 else ""


# Imported last of all: its account says that the demo is loaded whole. It has no meter yet.
LAST_ACCOUNT = Premises("D-1060", "New house, 61 Hill Road", "", "", 0)


def all_premises() -> list[Premises]:
    """Everybody with a meter, in order of account number."""
    return [*_homes(), *_shops(), _to_try()]


def _homes() -> list[Premises]:
    homes = []
    for n in range(45):
        number = 101 + n
        smart = n >= 45 - _SMART_HOMES
        kseb = n < 27 or (smart and n % 2 == 0)
        homes.append(
            Premises(
                account_no=f"D-{1001 + n}",
                name=f"{2 + 3 * (n // 5)} {_HOME_STREETS[n % 5]}",
                serial=f"S-{number}" if smart else f"M-{number}",
                tariff_code=_tariff_of_home(number, kseb=kseb),
                daily_wh=2600 + n * 1709 % 3600 if kseb else 6500 + n * 1709 % 9000,
                kind="smart" if smart else "manual",
                opening_kwh=99_100 if number == _ROLLS_OVER else 800 + n * 2657 % 40_000,
                story=_STORIES.get(number, ""),
            )
        )
    return homes


def _tariff_of_home(number: int, *, kseb: bool) -> str:
    if number == _HAS_PANELS:
        return SOLAR_HOME
    return KSEB if kseb else DELHI_HOME


def _shops() -> list[Premises]:
    shops = []
    for n, name in enumerate(_SHOPS):
        number = 151 + n
        large = n >= 11
        shops.append(
            Premises(
                account_no=f"D-{1046 + n}",
                name=name,
                serial=f"S-{number}" if large else f"M-{number}",
                tariff_code=DELHI_SHOP,
                daily_wh=60_000 if large else 9_000 + n * 2713 % 24_000,
                shape="shop",
                kind="smart" if large else "manual",
                multiplier=(20, 40)[n - 11] if large else 1,
                opening_kwh=500 + n * 3571 % 60_000,
            )
        )
    return shops


def _to_try() -> Premises:
    return Premises("D-1059", "1 Canal Road", TO_TRY, KSEB, 3900, story="to_try")
