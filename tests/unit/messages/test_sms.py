"""Texts: how a gateway's request is written, and what may not be."""

import pytest

from services.messages.sms import GatewayTemplate, InvalidTemplate

VALUES = {"to": "+919876543210", "text": 'He said "pay {to}" & left', "id": "7"}


def test_a_json_template_has_the_values_whatever_letters_they_have() -> None:
    template = GatewayTemplate.parse(
        '{"messages": [{"to": "{to}", "content": "{text}"}], "from": "MILL", "flash": false}'
    )
    body, form = template.filled(VALUES)
    assert body == {
        "messages": [{"to": VALUES["to"], "content": VALUES["text"]}],
        "from": "MILL",
        "flash": False,
    }
    assert form == {}


def test_a_form_template_has_the_values_whatever_letters_they_have() -> None:
    template = GatewayTemplate.parse("msisdn={to}&message={text}&ref={id}&sender=MILL")
    assert template.filled(VALUES) == (
        None,
        {"msisdn": VALUES["to"], "message": VALUES["text"], "ref": "7", "sender": "MILL"},
    )


def test_braces_that_are_no_texts_are_no_fields() -> None:
    template = GatewayTemplate.parse('{"to": "{to}", "text": "{text}", "options": {}, "all": [{}]}')
    body, _ = template.filled(VALUES)
    assert (body["options"], body["all"]) == ({}, [{}])


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ('{"to": "{to}", "text": "{text}", "who": "{name}"}', "is not known: {name}"),
        ("to={to}&text={message}", "is not known: {message}"),
        ('{"to": "{to}"}', "has no {text}"),
        ('{"{to}": "{text}"}', "has no {to}"),
        ('{"to": "{to}", "text": "{text}", "more": "{}"}', "is not known: {}"),
        ("text={text}", "has no {to}"),
        ('{"to": "{to}", "text": {text}}', "not a JSON object"),
        ("just words", "neither a JSON object nor a form"),
        ("", "neither a JSON object nor a form"),
    ],
)
def test_a_template_that_would_send_nonsense_is_refused(written: str, why: str) -> None:
    with pytest.raises(InvalidTemplate) as refused:
        GatewayTemplate.parse(written)
    assert why in str(refused.value)
