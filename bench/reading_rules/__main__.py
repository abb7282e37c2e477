"""`python -m bench.reading_rules`: precision and recall of the rules on real load profiles."""

from collections.abc import Callable, Sequence
from typing import Final

from bench.reading_rules.faults import ReadMeter, meters
from bench.reading_rules.profiles import NoProfiles
from bench.reading_rules.scores import (
    Doubted,
    Score,
    by_limit,
    by_the_rules,
    three_iqr,
    three_sigma,
)

# The rules were tuned on seeds below 50.
SEEDS: Final = range(100, 105)
FIRST_FAULTS: Final = (3.1, 5, 10)
Judge = Callable[[Sequence[ReadMeter], bool], Doubted]
JUDGES: Final[dict[str, Judge]] = {
    "rules": lambda found, reviewed: by_the_rules(found, reviewed=reviewed),
    "3 sigma": lambda found, reviewed: by_limit(found, three_sigma, reviewed=reviewed),
    "median ± 3 IQR": lambda found, reviewed: by_limit(found, three_iqr, reviewed=reviewed),
}


def main() -> None:
    """Print the figures of all faults, of each kind, and of first readings."""
    print("\nReadings: one fault a meter in 24 months, at a random month after the fourth")
    try:
        for chargers in (False, True):
            _print_scores(chargers=chargers)
        _print_first_readings()
    except NoProfiles as error:
        print(error)


def _print_scores(*, chargers: bool) -> None:
    of_seed = [meters(seed, chargers=chargers) for seed in SEEDS]
    what = "with charging points" if chargers else "homes, shops, farms, heat pumps"
    print(f"\n{what}: {len(of_seed[0])} meters, {len(of_seed)} draws")
    for reviewed in (True, False):
        print(f"  queue {'worked' if reviewed else 'not worked'}")
        for name, judge in JUDGES.items():
            score = Score()
            for found in of_seed:
                score.add(found, judge(found, reviewed))
            print(f"    {name:<15} {score.line()}")
            if name == "rules" and reviewed:
                kinds = sorted(score.by_kind.items())
                print("      " + ", ".join(f"{kind} {a}/{b}" for kind, (a, b) in kinds))
                empty = f"{score.vacant_false} of {score.vacant}"
                print(f"      of the false reviews empty months, a tenth of the usual: {empty}")


def _print_first_readings() -> None:
    """First readings that are too high, among meters whose class is known by then."""
    print("\nfirst readings after those of the others, too high by")
    for factor in FIRST_FAULTS:
        caught = total = 0
        for seed in SEEDS:
            found = meters(seed, chargers=False)
            for meter in found[::5]:
                first = ReadMeter(meter.name, meter.dials, meter.connected_kw, meter.right[:2])
                used = int(first.used(1) * factor)
                first.shown = [first.right[0], (first.right[0] + used) % 10**first.dials]
                others = [one for one in found if one is not meter]
                plain = [_first_month(one) for one in others]
                caught += (meter.name, 1) in by_the_rules([*plain, first], reviewed=True)
                total += 1
        print(f"  {factor} times: {caught} of {total} doubted")


def _first_month(meter: ReadMeter) -> ReadMeter:
    right = meter.right[:2]
    return ReadMeter(meter.name, meter.dials, meter.connected_kw, right, list(right))


if __name__ == "__main__":
    main()
