"""What the charges of a draft are called on bills in other languages, one language at a time."""

from collections.abc import Mapping
from typing import Any, Final

import streamlit as st

from pages.languages.words import _, say
from pages.shared.format import escaped
from pages.tariffs.tariff_fields import Form
from services.bill_documents.line_names import ChargeName, line_name
from services.languages.catalogues import OF_DOCUMENTS, OFFERED
from services.languages.language import Language, own_name
from services.languages.sentence import Sentence
from services.tariff_publishing.edits import name_charge
from services.tariffs.places import charge_name
from services.tariffs.values import listed, mapped

_PRINTED: Final = (*OFFERED, *OF_DOCUMENTS)


def show_names(form: Form) -> None:
    """A language, and a field for each charge with its name in it; nothing without charges."""
    charges = {
        index: charge
        for index, charge in enumerate(listed(form.value("charges")))
        if isinstance(charge, dict)
    }
    if not charges:
        return
    with st.container(border=True, gap="small"):
        st.markdown(_("**Names in other languages**"))
        tag = _ask_language(form, charges)
        if tag:
            st.caption(
                _(
                    "Customers who read this language see these names on their bills. Where you "
                    "leave a field empty, they see what stands in it in grey."
                )
            )
            for index, charge in charges.items():
                _ask_name(form, charge, index, tag)


def _ask_language(form: Form, charges: Mapping[int, Mapping[str, Any]]) -> str | None:
    """The language whose names are shown, to begin with the first that has any."""
    named = dict.fromkeys(
        str(tag) for charge in charges.values() for tag in mapped(charge.get("names"))
    )
    # What else the draft has names in, right or wrong, can be looked at too.
    tags = [*_PRINTED, *(tag for tag in named if tag not in _PRINTED)]
    return st.selectbox(
        _("Language"),
        tags,
        index=tags.index(next(iter(named))) if named else None,
        format_func=own_name,
        placeholder=_("Choose"),
        key=f"{form.written.key}-language-of-names",
    )


def _ask_name(form: Form, charge: Mapping[str, Any], index: int, tag: str) -> None:
    names = charge.get("names")
    if names is not None and not isinstance(names, dict):
        # Beneath the charge stands what is wrong with it.
        return
    form.text(
        ("charges", index, "names", tag),
        escaped(_label_of(charge, index)),
        optional=True,
        placeholder=_without(charge, tag),
        makes=lambda name: name_charge(index, tag, name),
    )


def _label_of(charge: Mapping[str, Any], index: int) -> str:
    """What is printed stays as it is; what stands for it is said."""
    name = charge_name(charge, index)
    return say(name) if isinstance(name, Sentence) else name


def _without(charge: Mapping[str, Any], tag: str) -> str:
    """What the charge is called on a bill in a language without a name of its own."""
    described = str(charge.get("description") or "")
    plain = ChargeName(str(charge.get("code") or ""), described, "")
    return line_name(plain, Language.of_documents(tag))
