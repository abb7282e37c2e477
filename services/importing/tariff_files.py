"""Tariff files: the project's JSON format or URDB's, one tariff or a list of them."""

import json
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

from services.importing.report import ImportProblem
from services.importing.rows import derived_id
from services.importing.source import Source, UnreadableFile, read_text
from services.importing.urdb import UnusableRate, is_urdb, rates_of, tariff_of
from services.languages.sentence import ended, sentence
from services.tariffs import InvalidTariff, Tariff, parse_tariff

MOST_TARIFF_BYTES: Final = 20_000_000
MOST_PROBLEMS: Final = 500


def tariff_rows(
    source: Source,
    problems: list[ImportProblem],
    *,
    remarks: list[ImportProblem] | None = None,
    effective_from: date | None = None,
) -> list[dict[str, Any]]:
    """The tariffs of a file as import_tariffs takes them; what is wrong goes to `problems`.

    Rates of URDB become tariffs from `effective_from`, or from their own start date; what they
    have and the tariffs have not goes to `remarks`. Raises UnreadableFile.
    """
    text = read_text(source, most_bytes=MOST_TARIFF_BYTES)
    found = json_of(text)
    listed: Sequence[Any] = found if isinstance(found, list) else [found]
    if not listed:
        raise UnreadableFile(sentence("The list of tariffs is empty."))
    if is_urdb(found):
        listed = list(_of_urdb(text, effective_from, problems, remarks))
    elif effective_from is not None:
        raise UnreadableFile(
            sentence("A tariff in this project's format says itself from when it holds.")
        )
    tariffs = list(_parsed(listed, problems))
    _check_duplicates(tariffs, problems)
    return [_row(position, tariff) for position, tariff in tariffs]


def json_of(text: str, *, parse_float: type[float] | type[Decimal] = float) -> Any:
    """Read JSON, with fractions as `parse_float` makes them. Raises UnreadableFile."""
    try:
        return json.loads(text, object_pairs_hook=_object, parse_float=parse_float)
    except json.JSONDecodeError as error:
        raise UnreadableFile(
            sentence(
                "This is not JSON: {error} at line {line}, character {character}.",
                error=error.msg,
                line=error.lineno,
                character=error.colno,
            )
        ) from None
    except ValueError:
        raise UnreadableFile(
            sentence("A number in this JSON is too long; rates are short texts.")
        ) from None
    except RecursionError:
        raise UnreadableFile(sentence("This JSON is nested deeper than any tariff.")) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # JSON readers keep the last of two equal names in silence: a rate would vanish.
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise UnreadableFile(
                sentence("The name {name} stands twice in one object.", name=repr(name[:60]))
            )
        seen.add(name)
    return dict(pairs)


def _of_urdb(
    text: str,
    effective_from: date | None,
    problems: list[ImportProblem],
    remarks: list[ImportProblem] | None,
) -> Iterator[dict[str, Any] | None]:
    """A tariff for each rate of a file, None for one that no tariff can be made of."""
    rates = rates_of(json_of(text, parse_float=Decimal))
    for position, (label, rate) in enumerate(rates, start=1):
        try:
            imported = tariff_of(rate, label=label, effective_from=effective_from)
        except UnusableRate as error:
            problems += [ImportProblem(position, path, ended(why)) for path, why in error.problems]
            yield None
            continue
        if remarks is not None:
            remarks += [ImportProblem(position, path, ended(t)) for path, t in imported.remarks]
        yield imported.tariff


def _parsed(listed: Sequence[Any], problems: list[ImportProblem]) -> Iterator[tuple[int, Tariff]]:
    for position, data in enumerate(listed, start=1):
        if len(problems) >= MOST_PROBLEMS:
            more = sentence("More is wrong: put this right first.")
            problems.append(ImportProblem(None, "", more))
            return
        if data is None and problems:
            continue  # What is wrong with this rate has been said.
        if not isinstance(data, dict):
            why = sentence("is not an object with named fields.")
            problems.append(ImportProblem(position, "", why))
            continue
        try:
            yield position, parse_tariff(data)
        except InvalidTariff as error:
            problems.extend(
                ImportProblem(position, path, ended(why)) for path, why in error.problems
            )


def _check_duplicates(tariffs: list[tuple[int, Tariff]], problems: list[ImportProblem]) -> None:
    versions: dict[tuple[str, Any], int] = {}
    currencies: dict[str, tuple[int, str]] = {}
    for position, tariff in tariffs:
        first = versions.setdefault((tariff.code, tariff.effective_from), position)
        if first != position:
            why = sentence(
                "{code} from {day} stands in position {position} already.",
                code=tariff.code,
                day=tariff.effective_from.isoformat(),
                position=first,
            )
            problems.append(ImportProblem(position, "effective_from", why))
        earlier, currency = currencies.setdefault(tariff.code, (position, tariff.currency))
        if currency != tariff.currency:
            why = sentence(
                "{code} is in {currency} in position {position}: a tariff has one currency.",
                code=tariff.code,
                currency=currency,
                position=earlier,
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
