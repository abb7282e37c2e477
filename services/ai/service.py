"""AiService: doubts about readings, second opinions on bills, and the words of messages."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final, TypeVar

from services.ai.answers import (
    AiVerdict,
    BillAnswer,
    DialAnswer,
    DialReading,
    MessageAnswer,
    NoAiAnswer,
    ReadingAnswer,
    plain_line,
)
from services.ai.asking import Asker, Budget, Question
from services.ai.messages import Worded, occasion_of, values_for
from services.ai.placeholders import LONGEST, UnfitText, fill_in
from services.ai.prompt_files import Prompts
from services.ai.questions import about_bill, about_dial, about_message, about_reading
from services.ai.second_opinion import SecondOpinion
from services.database.queries.ai_usage import AiCallLog
from services.database.transport import Transport
from services.integrations.deadline import Deadline
from services.languages.sentence import sentence, sentence_of
from services.messages.facts import NO_FACTS
from services.metering.outcomes import Validation
from services.quantities.energy import InvalidEnergy, parse_kwh
from services.records.bills import Bill, NewBill
from services.records.submissions import ReadingContext
from services.records.tariffs import TariffVersion
from services.settings import Settings

log = logging.getLogger(__name__)
Result = TypeVar("Result")

MESSAGE_SECONDS: Final = 4.0
MESSAGE_TRIES: Final = 2
# Of a message's characters; the rest is for the values that are filled in.
LONGEST_WORDS: Final = 600


@dataclass(frozen=True, slots=True)
class AiService:
    """What AI is asked for. Each method raises NoAiAnswer, with a sentence for the step, where
    the rules or a template must do instead: nothing outside can stop a bill.
    """

    asker: Asker
    prompts: Prompts
    hold_percent: Decimal
    utility_name: Callable[[], str]

    def validate_reading(
        self,
        *,
        context: ReadingContext,
        register_wh: int,
        read_on: date,
        validation: Validation,
        reading_id: str,
        deadline: Deadline,
        now: datetime,
    ) -> AiVerdict:
        """What AI thinks of a reading, from its meter's history and the rules' outcomes.

        `register_wh` is before the multiplier, `read_on` local, `now` UTC. Raises NoAiAnswer.
        """

        def ask() -> AiVerdict:
            question = Question(
                purpose="validate_reading",
                prompt=self.prompts.validate_reading,
                data=about_reading(
                    context=context,
                    register_wh=register_wh,
                    read_on=read_on,
                    validation=validation,
                ),
                answer=ReadingAnswer,
                reading_id=reading_id,
            )
            answered = self.asker.ask(question, deadline=deadline, now=now)
            return AiVerdict.of(answered.answer, model=answered.model)

        return _harmless(ask)

    def read_dial(
        self, *, jpeg: bytes, dials: int, reading_id: str, deadline: Deadline, now: datetime
    ) -> DialReading:
        """What AI reads on the photo of a meter of so many digits; `now` in UTC.

        Raises NoAiAnswer.
        """

        def ask() -> DialReading:
            question = Question(
                purpose="read_dial",
                prompt=self.prompts.read_dial,
                data=about_dial(dials=dials),
                answer=DialAnswer,
                reading_id=reading_id,
                jpeg=jpeg,
            )
            answer = self.asker.ask(question, deadline=deadline, now=now).answer
            return DialReading(_dial_wh(answer.shows_kwh, dials), answer.confidence)

        return _harmless(ask)

    def calculate_bill(
        self, *, bill: NewBill, version: TariffVersion, deadline: Deadline, now: datetime
    ) -> SecondOpinion:
        """AI's own lines and total of a bill, compared to the cent; `now` in UTC.

        Raises NoAiAnswer.
        """

        def ask() -> SecondOpinion:
            question = Question(
                purpose="calculate_bill",
                prompt=self.prompts.calculate_bill,
                data=about_bill(bill=bill, version=version),
                answer=BillAnswer,
                reading_id=bill.closing.id,
                bill_id=bill.id,
            )
            answered = self.asker.ask(question, deadline=deadline, now=now)
            return SecondOpinion.of(
                answered.answer,
                rated=bill.rated,
                hold_percent=self.hold_percent,
                model=answered.model,
            )

        return _harmless(ask)

    def write_message(
        self,
        *,
        bill: Bill,
        kind: str,
        language: str,
        now: datetime,
        facts: Mapping[str, str] = NO_FACTS,
        deadline: Deadline | None = None,
    ) -> Worded:
        """A message in a language ("ml"), worded by AI, its placeholders filled in and checked.

        `facts` tell of the payment or correction that it is about; without a `deadline` it takes
        4 s at most; `now` in UTC. Raises NoAiAnswer, also when the text may not be sent.
        """

        def ask() -> Worded:
            occasion = occasion_of(kind, bill, facts)
            values = values_for(
                bill, occasion, language, utility_name=self.utility_name(), facts=facts
            )
            question = Question(
                purpose="write_message",
                prompt=self.prompts.write_message,
                data=about_message(
                    occasion=occasion.name,
                    language=language,
                    offered=values,
                    required=occasion.required,
                    most=LONGEST_WORDS,
                ),
                answer=MessageAnswer,
                bill_id=bill.id,
            )
            answered = self.asker.ask(
                question,
                deadline=deadline or Deadline.after(MESSAGE_SECONDS),
                now=now,
                tries=MESSAGE_TRIES,
            )
            text = _filled_in(answered.answer.text, values, occasion.required)
            return Worded(text=text, written_by=f"AI ({plain_line(answered.model, longest=100)})")

        return _harmless(ask)

    def close(self) -> None:
        """Give back the connections."""
        self.asker.model.close()


def open_ai(
    settings: Settings,
    transport: Transport,
    *,
    utility_name: Callable[[], str] | None = None,
    on_fault: Callable[[str], None] = lambda _: None,
) -> AiService | None:
    """The service as it is set, or None without a key; `on_fault` is called with each failure.

    `utility_name` answers the name of the moment, by default that of the settings.
    Raises UnusablePrompt.
    """
    if settings.openai_api_key is None:
        return None
    # Its client takes a second to load, which a start without AI need not wait for.
    from services.ai.openai_model import OpenAiModel  # noqa: PLC0415

    model = OpenAiModel(
        api_key=settings.openai_api_key.get_secret_value(),
        base_url=settings.openai_base_url,
        model=settings.openai_model,
    )
    budget = Budget(settings.ai_price_input, settings.ai_price_output, settings.ai_monthly_budget)
    return AiService(
        asker=Asker(model, AiCallLog(transport), budget, settings.timezone, on_fault=on_fault),
        prompts=Prompts.load(),
        hold_percent=settings.ai_hold_percent,
        utility_name=utility_name or (lambda: settings.utility_name),
    )


def _dial_wh(text: str | None, dials: int) -> int | None:
    """Wh that a register of so many digits can show; None for anything else."""
    try:
        shown = parse_kwh((text or "").strip())
    except InvalidEnergy:
        return None
    return shown if shown < 10**dials * 1000 else None


def _filled_in(template: str, values: dict[str, str], required: tuple[str, ...]) -> str:
    try:
        return fill_in(template, values, required=required, longest=LONGEST)
    except UnfitText as unfit:
        raise NoAiAnswer(
            sentence("AI's text was not used: it {unfit}.", unfit=sentence_of(unfit))
        ) from None


def _harmless(ask: Callable[[], Result]) -> Result:
    """The answer; a mistake of ours costs the answer, but nobody their bill."""
    try:
        return ask()
    except NoAiAnswer:
        raise
    except Exception:
        log.exception("AI could not be asked")
        raise NoAiAnswer(
            sentence("AI not asked: an unexpected error; the log has the details.")
        ) from None
