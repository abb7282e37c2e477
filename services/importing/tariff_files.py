"""Tariff files: the project's JSON format, one tariff or a list of them."""

import json
from collections.abc import Iterator
from typing import Any

from services.domain.tariff import InvalidTariff, Tariff, parse_tariff
from services.importing.report import ImportProblem
from services.importing.rows import derived_id
from services.importing.source import Source, UnreadableFile, read_text


def tariff_rows(source: Source, problems: list[ImportProblem]) -> list[dict[str, Any]]:
    """The tariffs of a file as import_tariffs takes them; what is wrong goes to `problems`.

    Raises UnreadableFile.
    """
    found = _json_of(read_text(source))
    listed = found if isinstance(found, list) else [found]
    if not listed:
        raise UnreadableFile("The list of tariffs is empty.")
    tariffs = list(_parsed(listed, problems))
    _check_duplicates(tariffs, problems)
    return [_row(position, tariff) for position, tariff in tariffs]


def _json_of(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, character {error.colno}"
        raise UnreadableFile(f"This is not JSON: {error.msg} at {where}.") from None
    except ValueError:
        raise UnreadableFile("A number in this JSON is too long; rates are short texts.") from None
    except RecursionError:
        raise UnreadableFile("This JSON is nested deeper than any tariff.") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # JSON readers keep the last of two equal names in silence: a rate would vanish.
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise UnreadableFile(f"The name {name[:60]!r} stands twice in one object.")
    return dict(pairs)


def _parsed(listed: list[Any], problems: list[ImportProblem]) -> Iterator[tuple[int, Tariff]]:
    for position, data in enumerate(listed, start=1):
        if not isinstance(data, dict):
            problems.append(ImportProblem(position, "", "is not an object with named fields."))
            continue
        try:
            yield position, parse_tariff(data)
        except InvalidTariff as error:
            problems.extend(
                ImportProblem(position, path, f"{why}.") for path, why in error.problems
            )


def _check_duplicates(tariffs: list[tuple[int, Tariff]], problems: list[ImportProblem]) -> None:
    versions: dict[tuple[str, Any], int] = {}
    currencies: dict[str, tuple[int, str]] = {}
    for position, tariff in tariffs:
        first = versions.setdefault((tariff.code, tariff.effective_from), position)
        if first != position:
            why = f"{tariff.code} from {tariff.effective_from} stands in position {first} already."
            problems.append(ImportProblem(position, "effective_from", why))
        earlier, currency = currencies.setdefault(tariff.code, (position, tariff.currency))
        if currency != tariff.currency:
            why = (
                f"{tariff.code} is in {currency} in position {earlier}: a tariff has one currency."
            )
            problems.append(ImportProblem(position, "currency", why))


def _row(position: int, tariff: Tariff) -> dict[str, Any]:
    effective_from = tariff.effective_from.isoformat()
    return {
        "row": position,
        "id": derived_id("tariff", tariff.code, effective_from),
        "tariff_id": derived_id("tariff", tariff.code),
        "code": tariff.code,
        "name": tariff.name,
        "currency": tariff.currency,
        "effective_from": effective_from,
        "definition": tariff.to_json(),
    }
