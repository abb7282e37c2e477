"""A model behind OpenAI's API, or behind a service that speaks the same."""

import base64
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import openai
from openai import OpenAI
from openai.types.chat import ChatCompletionContentPartParam

from services.ai.answers import Usage, plain_line
from services.ai.asking import Answer, Answered, ModelFault
from services.languages.sentence import sentence
from services.telemetry.outside_calls import OPENAI, outside_calls

log = logging.getLogger(__name__)
Result = TypeVar("Result")
Content = str | list[ChatCompletionContentPartParam]

OPENAI_URL: Final = "https://api.openai.com/v1"
DEFAULT_MODEL: Final = "gpt-5.4-mini"
CALL_SECONDS: Final = 10.0
# Also what a model that thinks before it answers may use up in thoughts.
MOST_ANSWER_TOKENS: Final = 4000
MOST_AT_ONCE: Final = 16
MOST_TOKENS_COUNTED: Final = 1_000_000_000


class OpenAiModel:
    """Chat completions with structured outputs; its methods may be called by many threads."""

    def __init__(self, *, api_key: str, base_url: str | None, model: str | None) -> None:
        self.name = model or DEFAULT_MODEL
        self._client = OpenAI(
            api_key=api_key,
            base_url=base_url or OPENAI_URL,
            timeout=CALL_SECONDS,
            # The client would wait as long as a Retry-After says, whatever time its caller has.
            max_retries=0,
        )
        # The client's time-out holds for each read: a name that is looked up for long, or an
        # answer that trickles in, would outlast it. So each call is waited for from outside.
        self._threads = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="ai")

    def close(self) -> None:
        """Give back the connections; what is under way ends with them."""
        self._client.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def ask(
        self,
        *,
        prompt: str,
        data: str,
        answer: type[Answer],
        seconds: float,
        key: str,
        jpeg: bytes | None = None,
    ) -> Answered[Answer]:
        """Ask once and wait `seconds`, and never more than 10. Raises ModelFault."""
        limit = min(seconds, CALL_SECONDS)
        content = _content(data, jpeg)
        return self._in_time(limit, lambda: self._ask(prompt, content, answer, limit, key))

    def check(self, *, seconds: float) -> None:
        """Ask for the list of models, which costs nothing. Raises ModelFault."""
        limit = min(seconds, CALL_SECONDS)
        self._in_time(limit, lambda: _sent(lambda: self._client.models.list(timeout=limit)))

    def _in_time(self, seconds: float, work: Callable[[], Result]) -> Result:
        with outside_calls.watched(OPENAI):
            return self._waited_for(seconds, work)

    def _waited_for(self, seconds: float, work: Callable[[], Result]) -> Result:
        try:
            future = self._threads.submit(work)
        except RuntimeError:
            raise ModelFault("closed", sentence("is being stopped")) from None
        try:
            return future.result(timeout=seconds)
        except TimeoutError:
            future.cancel()
            raise _took_too_long() from None

    def _ask(
        self, prompt: str, content: Content, answer: type[Answer], seconds: float, key: str
    ) -> Answered[Answer]:
        raw = _sent(
            lambda: self._client.chat.completions.with_raw_response.parse(
                model=self.name,
                messages=[
                    {"role": "system", "content": prompt},
                    {"role": "user", "content": content},
                ],
                response_format=answer,
                max_completion_tokens=MOST_ANSWER_TOKENS,
                timeout=seconds,
                extra_headers={"Idempotency-Key": key},
            )
        )
        # Read from the body itself: an answer that cannot be used has its price all the same.
        usage, model = _stated(raw.http_response, model=self.name)
        try:
            message = raw.parse().choices[0].message
            if message.refusal:
                raise ModelFault("refused", sentence("refused to answer"), usage=usage, model=model)
            if message.parsed is None:
                raise ValueError("no content")
            return Answered(message.parsed, model, usage)
        except ModelFault:
            raise
        except openai.LengthFinishReasonError:
            fault = ("cut", sentence("was cut off before the end of its answer"))
        except openai.ContentFilterFinishReasonError:
            fault = ("filtered", sentence("was stopped by its content filter"))
        except Exception as error:
            # Whatever shape the answer has. Not logged: it may repeat what it was asked.
            log.info("an answer of AI could not be read: %s", type(error).__name__)
            fault = ("malformed", sentence("answered in a form that cannot be read"))
        raise ModelFault(*fault, usage=usage, model=model)


def _content(data: str, jpeg: bytes | None) -> Content:
    """What is asked: the data alone, or with a picture beside it."""
    if jpeg is None:
        return data
    address = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
    return [
        {"type": "text", "text": data},
        {"type": "image_url", "image_url": {"url": address, "detail": "high"}},
    ]


def _sent(send: Callable[[], Result]) -> Result:
    """What a request gave; every error of the client becomes a ModelFault."""
    try:
        return send()
    except openai.APITimeoutError:
        raise _took_too_long() from None
    except openai.APIConnectionError:
        raise ModelFault("unreachable", sentence("could not be reached"), again=True) from None
    except openai.APIStatusError as error:
        raise _fault_of(error) from None
    except Exception as error:
        # Such as a key that does not fit into a header.
        log.warning("AI could not be asked: %s", type(error).__name__)
        raise ModelFault(
            "malformed", sentence("could not be asked, or answered in no known form")
        ) from None


def _took_too_long() -> ModelFault:
    return ModelFault("timeout", sentence("did not answer in time"))


_FINAL_STATUS: Final = {
    401: ("not_allowed", sentence("does not accept OPENAI_API_KEY")),
    403: ("not_allowed", sentence("does not let this OPENAI_API_KEY use the model")),
    404: (
        "not_found",
        sentence("does not know the model of OPENAI_MODEL, or OPENAI_BASE_URL is wrong"),
    ),
}


def _fault_of(error: openai.APIStatusError) -> ModelFault:
    status, code = error.status_code, str(error.code or error.type or "")
    if "insufficient_quota" in code:
        return ModelFault("no_quota", sentence("has no quota left on its account"))
    if "content_filter" in code:
        return ModelFault("filtered", sentence("was stopped by its content filter"))
    if status in _FINAL_STATUS:
        return ModelFault(*_FINAL_STATUS[status])
    if status == 429:
        again_in = _seconds(error.response.headers.get("retry-after"))
        return ModelFault(
            "busy", sentence("is asked too often just now"), again=True, retry_after=again_in
        )
    if status >= 500:
        return ModelFault(
            "failed", sentence("had an error of its own ({status})", status=str(status)), again=True
        )
    return ModelFault(
        "rejected", sentence("did not accept the question ({status})", status=str(status))
    )


def _seconds(text: str | None) -> float | None:
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def _stated(response: Any, *, model: str) -> tuple[Usage, str]:
    """Tokens and model as the answer states them; 0 for what it does not state as a number."""
    try:
        body = response.json()
    except ValueError:
        return Usage(), model
    stated = body if isinstance(body, Mapping) else {}
    tokens = stated.get("usage")
    tokens = tokens if isinstance(tokens, Mapping) else {}
    usage = Usage(_count(tokens.get("prompt_tokens")), _count(tokens.get("completion_tokens")))
    named = stated.get("model")
    return usage, (plain_line(named, longest=100) if isinstance(named, str) else "") or model


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        return 0
    return min(max(value, 0), MOST_TOKENS_COUNTED)
