"""Numbers as people type or paste them, read as the plain decimals of the tariff format."""

import re
from typing import Final

_PRINTED: Final = re.compile(r"[-−]?[0-9]{1,3}(,[0-9]{2,3})*,[0-9]{3}(\.[0-9]*)?")
_PLAIN: Final = re.compile(r"[-−]?([0-9]+\.?[0-9]*|\.[0-9]+)")
_AROUND: Final = re.compile(r"^[^\w.,−-]+|[\s%]+$")


def typed_number(text: str) -> str:
    """A number as it is printed ("₹1,000.50", "10 %", ".5") as plain decimals ("1000.50").

    Anything else stays as it was typed, without blanks around it: whoever typed it sees what is
    wrong with it. A comma is taken for a thousands sign only where it stands as one: "3,25" stays.
    """
    typed = text.strip()
    sign = "-" if typed.startswith(("-", "−")) else ""
    bare = _AROUND.sub("", typed.removeprefix("-").removeprefix("−")).strip()
    if not (_PRINTED.fullmatch(bare) or _PLAIN.fullmatch(bare)) or (sign and bare[0] in "-−"):
        return typed
    number = bare.replace(",", "").replace("−", "-").removesuffix(".")
    return f"{sign}{'0' if number.startswith('.') else ''}{number}"
