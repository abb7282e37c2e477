"""Reading camt.053, the account statement of ISO 20022, line by line.

What defusedxml refuses (entities, a document type, outside files) is refused with a sentence.
"""

import io
from collections.abc import Iterator
from typing import Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from services.importing.bank.lines import StatementLine
from services.importing.source import UnreadableFile
from services.languages.sentence import N_, sentence

_STATEMENT: Final = "BkToCstmrStmt"
_OTHERS: Final = {
    "BkToCstmrAcctRpt": N_(
        "The file is an account report (camt.052). Choose the account statement, camt.053: it has "
        "each line once, when it is booked."
    ),
    "BkToCstmrDbtCdtNtfctn": N_(
        "The file is a notification (camt.054). Choose the account statement, camt.053: it has "
        "each line once, when it is booked."
    ),
}
_NO_REFERENCE: Final = ("NOTPROVIDED", "NONREF", "")
_WRONG: Final = N_("The XML of the file is broken near line {line}: export the statement again.")


def camt_lines(data: bytes) -> Iterator[StatementLine]:
    """The booked lines of all statements in a file. Raises UnreadableFile."""
    try:
        yield from _lines(data)
    except DefusedXmlException:
        raise UnreadableFile(
            sentence(
                "The file declares XML entities or a document type, which no bank statement "
                "does: it is refused. Export the statement from the bank again."
            )
        ) from None
    except ParseError as error:
        raise UnreadableFile(sentence(_WRONG, line=str(error.position[0]))) from None


def _lines(data: bytes) -> Iterator[StatementLine]:
    account, kind = "", ""
    for event, element in iterparse(io.BytesIO(data), ("start", "end"), forbid_dtd=True):
        name = _name(element)
        if event == "start":
            kind = kind or _kind(name)
            continue
        if name == "Acct":
            account = _text(element, "Id/IBAN") or _text(element, "Id/Othr/Id")
        elif name == "Ntry":
            yield from _entry(element, account)
            element.clear()
        elif name == "Stmt":
            element.clear()
    if not kind:
        raise UnreadableFile(sentence("The file is XML, but no bank statement (camt.053)."))


def _kind(name: str) -> str:
    if name in _OTHERS:
        raise UnreadableFile(sentence(_OTHERS[name]))
    return name if name == _STATEMENT else ""


def _entry(entry: Element, account: str) -> Iterator[StatementLine]:
    """An entry's line, or a line for each payment of a batch whose amounts add up to it."""
    status = _text(entry, "Sts/Cd") or _text(entry, "Sts")
    if status not in ("BOOK", ""):
        return
    details = _all(entry, "NtryDtls/TxDtls")
    amount, currency = _amount(entry, "Amt")
    parts = [_part_amount(detail) for detail in details]
    if len(details) > 1 and all(own == currency for _, own in parts):
        for number, (detail, (part, _)) in enumerate(zip(details, parts, strict=True), start=1):
            yield _line(entry, [detail], account, part, currency, suffix=f"/{number}")
    else:
        yield _line(entry, details, account, amount, currency)


def _line(
    entry: Element,
    details: list[Element],
    account: str,
    amount: str,
    currency: str,
    *,
    suffix: str = "",
) -> StatementLine:
    out = _text(entry, "CdtDbtInd") == "DBIT"
    detail = details[0] if details else entry
    own = _text(detail, "Refs/AcctSvcrRef") if len(details) == 1 else ""
    entry_reference = _text(entry, "AcctSvcrRef") or _text(entry, "NtryRef")
    other = "Cdtr" if out else "Dbtr"
    return StatementLine(
        booked_on=(_text(entry, "BookgDt/Dt") or _text(entry, "BookgDt/DtTm"))[:10]
        or _text(entry, "ValDt/Dt"),
        amount=f"-{amount}" if out else amount,
        currency=currency,
        reference=" ".join(filter(None, map(_remittance, details))) or _text(entry, "AddtlNtryInf"),
        payer=_text(detail, f"RltdPties/{other}/Nm") or _text(detail, f"RltdPties/{other}/Pty/Nm"),
        bank_reference=own or (f"{entry_reference}{suffix}" if entry_reference else ""),
        account=account,
    )


def _remittance(detail: Element) -> str:
    """All that the payer wrote: free text, a structured reference, the end-to-end id."""
    texts = [one.text or "" for one in _all(detail, "RmtInf/Ustrd")]
    texts += [one.text or "" for one in _all(detail, "RmtInf/Strd/CdtrRefInf/Ref")]
    end_to_end = _text(detail, "Refs/EndToEndId")
    if end_to_end not in _NO_REFERENCE and end_to_end not in texts:
        texts.append(end_to_end)
    return " ".join(" ".join(texts).split())


def _part_amount(detail: Element) -> tuple[str, str]:
    part = _amount(detail, "Amt")
    return part if part[0] else _amount(detail, "AmtDtls/TxAmt/Amt")


def _amount(element: Element, path: str) -> tuple[str, str]:
    found = _all(element, path)
    return ((found[0].text or "").strip(), found[0].get("Ccy", "")) if found else ("", "")


def _text(element: Element, path: str) -> str:
    found = _all(element, path)
    return (found[0].text or "").strip() if found else ""


def _all(element: Element, path: str) -> list[Element]:
    """Elements below, by their names without the namespace, which differs by version."""
    found = [element]
    for step in path.split("/"):
        found = [child for one in found for child in one if _name(child) == step]
    return found


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]
