"""Write supabase/schemas/: the present text of each table, view and function, once, by subject.

The migrations are what is applied, and hold every text that a function ever had. These files hold
the last one, to be read. Run by `make schemas` after adding a migration; a test fails while the
files and the migrations make different schemas.
"""

import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).parents[1]
MIGRATIONS: Final = PROJECT / "supabase" / "migrations"
SCHEMAS: Final = PROJECT / "supabase" / "schemas"

# The subjects in the order in which they are applied.
SUBJECTS: Final = (
    "access",
    "customers",
    "tariffs",
    "network",
    "meters",
    "readings",
    "supply",
    "jobs",
    "bills",
    "outbox",
    "ledger",
    "payments",
    "plans",
    "dunning",
    "stripe",
    "corrections",
    "documents",
    "month_end",
    "graph",
    "ai",
    "lists",
    "utility_settings",
    "imports",
    "security",
    "people",
    "operation",
    "customer_page",
    "reports",
    "autopay",
    # The last: it has the default rights, by which no table of a later file may come.
    "approvals",
)
# Which subject a table, view or function belongs to: the first whose pattern fits its name. A view
# over several subjects goes to the last of them.
_NAMES: Final = (
    ("documents", r"\w*credit_notes?(_documents?|_list|_reference)?"),
    ("bills", r"(agreements_)?without_address|with_address"),
    ("utility_settings", r"utility_settings_version"),
    (
        "customer_page",
        r"customer_(page|pages|session|sessions|codes|requests|request_list)|(open|confirm|end|audit)_customer_(session|links)|(keep|use)_customer_code|(ask|close)_customer_request|forget_customer_visits|page_generation|home_band|similar_use",
    ),
    ("autopay", r"\w*autopay\w*|tell_of_expiring_cards|last_bill_of"),
    (
        "approvals",
        r"default|approval_\w+|(ask|decide|end)_approval|four_eyes|needs_approval|given_back_lately|passes_refund_limit",
    ),
    (
        "reports",
        r"posting|(summed|sum)_postings|(posting|revenue|collection)_sums|lines_of_postings|sums_of_(journal|revenue|collections)|last_posting_no|postings_\w+",
    ),
    ("reports", r"report_\w+|journal_\w+|last_posting|cash_closing\w*|cash_day\w*|\w+_cash_day"),
    ("utility_settings", r"utility_settings_of_month"),
    ("ledger", r"posting_no|ledger_balances_at"),
    ("payments", r"suspense_\w+|post_suspense"),
    ("operation", r"\w*operations?_\w+|bills_of_span|remove_old(_records)?|removals(_id_seq)?"),
    (
        "people",
        r"users|users_exist|\w*users?_(credentials|links?|list|secrets|of|to_sign_in|exist)|(list|invite|change|add|make|use)_users?(_links?)?|user_of|create_first_administrator|\w+_password|\w+_totp(_step)?|use_recovery_code|without_secrets|refuse_renaming|keep_an_administrator|void_links_of_dismissed|end_sessions_until|link_state",
    ),
    (
        "security",
        r"user_\w+|choose_user_language|readmit_user|\w*security_\w+|\w*(session|token|sign_in|api_key)\w*",
    ),
    (
        "dunning",
        r"\w*dunning\w*|held_of|owed_of|accounts_in_arrears|(overdue_)?(notices|reminders)_due|note_notices_given|give_notice|arrears_of_bill|arrears_page|\w*work_orders?(_list)?|is_owed_still|due_charges_of|why_charges_unsaid|days_of_reminders",
    ),
    ("bills", r"\w*kwh_bank\w*|opening_bank\w*|bring_in_banks"),
    ("customers", r"(customer_)?search_text"),
    ("utility_settings", r"\w*utility_(settings|logo)\w*|first_steps"),
    (
        "lists",
        r"missed_read_list|visits_in_vain|meter_collection_list|is_common|is_large|share_of_words",
    ),
    ("jobs", r"(store|hand)_collect\w+|meter_collections|meters_to_ask"),
    (
        "lists",
        r"timeline|rows_about|recorded_beside_audit|is_deposit|names_of|list_\w+|page_by_key|page_of_two|bills_of_place|\w*search\w*|(customers|bills)_of_meters|names_a_bill|ids_found|rows_found|words_\w+|has_trigrams|by_index|text_conditions|find_meters",
    ),
    (
        "supply",
        r"\w*disconnect\w*|reading_routes|set_billing_day|change_service_point|\w+_at_place|points_found|undo_(agreement|installation|supply_change|tariff)|\w*day_of_route|(\w+_)?cycles?(_\w+)?",
    ),
    ("imports", r"export_\w+|archived_tables"),
    ("imports", r"import_(headings|value|differences)|set_import_headings|preview_import"),
    ("graph", r"(note_)?graph_\w+"),
    ("ai", r"(add_)?ai_\w+|second_opinion\w*|reading_verdict_counts"),
    ("reports", r"debt_\w+|age_debt|debts_to_age"),
    (
        "month_end",
        r"ledger_check\w*|(record|last)_ledger_check\w*|ledger_is_large|require_sound_ledger|month_\w+|close_month|\w*aged_\w+|receivables|age_month|months_to_age|overview",
    ),
    (
        "ledger",
        r"(ledger|bill)_totals(_id_seq)?|keep_\w+_totals|(add_up|make|wrong)_totals|(\w*_)?open_totals(_id_seq)?|sums_of_open|open_items_in_totals|(sums|late)_of_\w+|bill_total_in_words|overdue_accounts",
    ),
    ("documents", r"\w*bill_document\w*|bills_to_print"),
    ("plans", r"\w*(plan|instalment)s?(_\w+)?"),
    (
        "corrections",
        r"correct\w+|begin_correction|end_correction|\w*rebill\w*|replace_reading|bills_to_correct|owe_correction",
    ),
    (
        "ledger",
        r"bill_number(s_counted|_blocks)|number_blocks_of|keep_bill_number_blocks|make_counts_of_supply|supply_(totals(_id_seq)?|counted)|add_supply_totals|keep_\w+_counted",
    ),
    (
        "ledger",
        r"(make|wrong)_(sums|counts)(_of_bills)?|\w*draft_signs|signs_of_drafts|tariff_agreed_on",
    ),
    ("bills", r"drafts_found|list_drafts|list_readings"),
    (
        "corrections",
        r"pay_again|paid_on|(bills|totals|newest)_priced_by|is_priced_by|wrong_versions|tariff_reach",
    ),
    ("stripe", r"\w*(stripe|dispute|reconciliation|payment_link)\w*"),
    ("stripe", r"match_refunded|failed_at_stripe|undo_failed_refund|fail_refund"),
    ("payments", r"\w*bank_(lines?|line_list|statements|accounts)"),
    ("ledger", r"import_balances|account_currencies"),
    ("payments", r"\w*(payment|return|flag|deposit|thanks)\w*"),
    ("dunning", r"\w*(dunned|spare|overdue|unanswered)\w*|owes_nothing|take_mark_away"),
    ("dunning", r"collect_again|why_unsaid|queue_reminders"),
    ("payments", r"\w*reference\w*|repeats"),
    ("jobs", r"(\w+_)?job_\w+|run_json|check_run|most_attempts|note_progress"),
    ("jobs", r"\w*clock\w*|last_month_run|queue_\w+|unbilled_\w+"),
    ("jobs", r"monthly_\w+"),
    ("outbox", r"\w*(join|release)_statements?|set_one_statement|hand_message_on"),
    (
        "outbox",
        r"outbox|message_(rates|queue|work|subject)|messages_of|subject_json|take_turns|claim_messages|pause_channel|owe_\w+|\w*(owed|notification|channels)\w*|to_try_again|failed_work_list",
    ),
    (
        "outbox",
        r"note_(life|delivery|reply|address_gone|unreachable)|stopped_numbers|dialled|(note_)?unreached(_page)?|letters|letter_batches|print_letters|hold_message|send_again|trust_email|mailbox\w*|handle_reply|customer_repl\w+",
    ),
    (
        "ledger",
        r"account\w*|keep_account_key|check_open_items|\w+_account|\w*(ledger|allocat|adjustment|credit)\w*|open_\w+",
    ),
    ("ledger", r"check_accounts|settle|take_back|undo_entry|post_\w+|lock_customers|new_entry"),
    ("network", r"feeders|\w*transformers|\w*suppl(y|ies)\w*"),
    (
        "access",
        r"private|public|installation|counters|audit\w*|changed_columns|set_actor|keep_rows",
    ),
    ("jobs", r"agreement_parts|expect_run|moved_agreements"),
    (
        "access",
        r"refuse|refuse_delete\w*|refuse_change|never_changed|schema_version|fingerprint|ordered_id",
    ),
    ("access", r"customer_behind|as_inserted|check_maker"),
    ("bills", r"billed_use|bills_made"),
    ("customers", r"\w*customer_notes?|meters_of_customer"),
    ("access", r"import_answer|refuse_reopening|refuse_audit_by_hand|identifier_keys?"),
    (
        "supply",
        r"\w*_supply|add_customer|supply_\w+|service_\w+|check_agreement\w*|check_installation|agreement_tariffs|installations_between|meter_installations|tariff_spans|spans_of|set_tariff",
    ),
    (
        "supply",
        r"transformer_moves\w*|import_service_points|\w*_agreements|agreement_problems|read_at_place",
    ),
    (
        "supply",
        r"\w*vacancies\w*|note_new_places|lock_points(_of)?|versions_of|sample_on_tariff|looks_back_along|unbilled_use\w*",
    ),
    (
        "bills",
        r"billed_uses|last_bill_with|last_bill_run_of|\w*issue_run\w*|issue_next|\w*draft\w*|pricing_facts|looks_back|is_outlier",
    ),
    ("bills", r"settled_from"),
    ("bills", r"is_use_between|has_wrong_segments"),
    ("bills", r"chain_tail|check_chain\w*|reissues|invoice_reference|check_opening"),
    ("bills", r"bills_given|bills_now|join_chain|class_use|peer_moves|where_it_ends"),
    ("bills", r"guard_billed_reading|reading_answer|reading_context|commit_reading|decide_reading"),
    ("tariffs", r"\w*(tariff|version)\w*"),
    ("bills", r"bills?|bill_\w+|\w+_bills?|\w+_bill_\w+|void_\w+"),
    ("readings", r"\w*(reading|interval|idempotency_key)\w*|find_replay|neighbours|keep_key"),
    ("readings", r"(note_)?refused_reads?|refused_read_list"),
    ("readings", r"round_\w+|missed_reads|reading_requests|answer_reading_\w+"),
    ("readings", r"exceptions|at_stake_wh|causes_of|is_actual|each_quality|season_use"),
    ("readings", r"\w*estimates?(_\w+)?"),
    ("readings", r"photos_of|\w*photo(_\w+|s)?"),
    ("readings", r"photos_to_claim|expect_claims|judged_by|group_uses|uses_beside|read_point"),
    (
        "readings",
        r"reads_between|(is_read|place_latest_read|note_moved_places|note_kinds)\w*|rolled_over|maxima|\w*latest_reads|note_(new_reads|changed_\w+)",
    ),
    ("meters", r"\w*(meter|register)\w*"),
    ("customers", r"\w*customer\w*"),
)
_SUBJECT_OF: Final = [(subject, re.compile(pattern)) for subject, pattern in _NAMES]
# While the files are applied nothing may come by Supabase's default rights; the last file sets
# those that the migrations leave.
_NO_DEFAULT_RIGHTS: Final = "\n".join(
    (
        *(
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON {kind}"
            " FROM public, anon, authenticated, service_role;"
            for kind in ("TABLES", "SEQUENCES", "FUNCTIONS")
        ),
        "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM public;",
    )
)
# Extensions stand in a schema that is not dumped.
_EXTENSIONS: Final = "CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA extensions;"
_BELONGING: Final = ("COMMENT", "CONSTRAINT", "INDEX", "ROW SECURITY", "ACL")
_KINDS: Final = (
    *("SCHEMA", *_BELONGING, "TYPE", "SEQUENCE", "TABLE"),
    *("FK CONSTRAINT", "VIEW", "FUNCTION", "TRIGGER", "DEFAULT ACL"),
)
_ABOUT: Final = re.compile(r"(?:FUNCTION|TABLE|VIEW|COLUMN|SEQUENCE|SCHEMA|TRIGGER|TYPE) (\w+)")
_TOC: Final = re.compile(
    r"^-- TOC entry (?P<id>\d+) .*\n(?:-- Dependencies: (?P<needs>[\d ]+)\n)?"
    r"-- Name: (?P<name>.+); Type: (?P<kind>[A-Z ]+); Schema: (?P<schema>[\w-]+); Owner: .*$",
    re.MULTILINE,
)


class NoSubject(Exception):
    """A table, view or function has no subject: give it one in scripts/write_schemas.py."""


@dataclass(frozen=True, slots=True)
class SchemaObject:
    """One object of a dump: its SQL, and the ids of those that it needs."""

    id: int
    name: str
    kind: str
    sql: str
    needs: tuple[int, ...]

    @property
    def about(self) -> str:
        """The name of the table, view or function that it is, or belongs to."""
        if self.kind in {"COMMENT", "ACL"}:
            found = _ABOUT.match(self.name)
            return found[1] if found else self.name
        # Of a trigger or a constraint the table stands first, of a function its arguments last.
        return re.split(r"[ (]", self.name)[0].lower()


def objects_of(dsn: str, *, programs: Path) -> list[SchemaObject]:
    """What the schemas public and private of a database hold, each after what it needs.

    `programs` is the folder of pg_dump.
    """
    schemas = ["--schema-only", "--schema=public", "--schema=private"]
    archive = _output([programs / "pg_dump", "-Fc", *schemas, dsn])
    # Only an archive names what each object needs.
    dump = _output(
        [programs / "pg_restore", "--verbose", "--no-owner", "--file=-"], given=archive
    ).decode()
    places = list(_TOC.finditer(dump))
    ends = [place.start() for place in places[1:]] + [len(dump)]
    return [
        SchemaObject(
            id=int(place["id"]),
            name=place["name"],
            kind=place["kind"],
            sql=_without_frame(dump[place.end() : end]),
            needs=tuple(map(int, (place["needs"] or "").split())),
        )
        for place, end in zip(places, ends, strict=True)
    ]


def _output(command: list[str | Path], *, given: bytes = b"") -> bytes:
    return subprocess.run(command, check=True, capture_output=True, input=given).stdout


def files_of(objects: Iterable[SchemaObject]) -> dict[str, str]:
    """The text of each subject's file, by file name. Raises NoSubject."""
    members: dict[int, list[SchemaObject]] = defaultdict(list)
    placed: dict[int, int] = {}
    for one in objects:
        if one.kind == "SCHEMA" and one.name == "public":
            continue
        placed[one.id] = _place(one, placed)
        members[placed[one.id]].append(one)
    return {
        f"{number + 1:02d}_{SUBJECTS[number]}.sql": _file(SUBJECTS[number], members[number])
        for number in sorted(members)
    }


def _place(one: SchemaObject, placed: Mapping[int, int]) -> int:
    """The number of its subject, or of the last subject that it needs."""
    needed = [placed[need] for need in one.needs if need in placed]
    if one.kind in {"INDEX", "CONSTRAINT", "ROW SECURITY", "COMMENT", "ACL"} and needed:
        return max(needed)
    return max([_own_place(one), *needed])


def _own_place(one: SchemaObject) -> int:
    for subject, pattern in _SUBJECT_OF:
        if pattern.fullmatch(one.about):
            return SUBJECTS.index(subject)
    raise NoSubject(
        f"{one.kind} {one.name} has no subject yet: add it to scripts/write_schemas.py."
    )


def _file(subject: str, members: Iterable[SchemaObject]) -> str:
    head = (
        f"-- {subject.replace('_', ' ').capitalize()}: written by `make schemas`, for reading.\n"
        "-- To change something, add a file to supabase/migrations."
    )
    first = (_NO_DEFAULT_RIGHTS, _EXTENSIONS) if subject == SUBJECTS[0] else ()
    return "\n\n".join((head, *first, *(one.sql for one in _as_read(members)))) + "\n"


def _as_read(members: Iterable[SchemaObject]) -> list[SchemaObject]:
    """Tables with what belongs to them, views, functions; each after what it needs."""
    waiting = {one.id: one for one in members}
    in_order: list[SchemaObject] = []
    last = 0
    while waiting:
        ready = [one for one in waiting.values() if not waiting.keys() & set(one.needs)]
        # What belongs to the object just written comes next, then the kinds in their order.
        chosen = min(
            ready,
            key=lambda one: (
                one.kind not in _BELONGING or last not in one.needs,
                _KINDS.index(one.kind),
                one.id,
            ),
        )
        last = last if chosen.kind in _BELONGING else chosen.id
        in_order.append(waiting.pop(chosen.id))
    return in_order


def _without_frame(text: str) -> str:
    """The statements alone, without pg_dump's comments around them."""
    lines = [line.rstrip() for line in text.split("\n")]
    inside = [n for n, line in enumerate(lines) if line and not line.startswith(("--", "\\"))]
    return "\n".join(lines[inside[0] : inside[-1] + 1])


def main() -> None:
    """Make a database with all migrations, and write its schema."""
    sys.path.insert(0, str(PROJECT))
    from services.database.embedded import EmbeddedPostgres  # noqa: PLC0415
    from services.database.schema.migrations import apply_migrations  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder)) as server:
        dsn = server.database("migrated")
        apply_migrations(dsn, MIGRATIONS)
        files = files_of(objects_of(dsn, programs=server.programs))
    SCHEMAS.mkdir(exist_ok=True)
    for path in SCHEMAS.glob("*.sql"):
        path.unlink()
    for name, text in files.items():
        (SCHEMAS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
