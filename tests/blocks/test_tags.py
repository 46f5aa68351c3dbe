"""Tags are found and cut as the WebUIs do, and the rest of the prompt stays as it is."""
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.blocks.tags import split

_PLAIN = st.text(st.characters(exclude_characters="<>"), max_size=20)
_WORDS = st.text("abz09_", min_size=1, max_size=5)
_ARGUMENTS = st.text(st.characters(exclude_characters=">"), min_size=1, max_size=30)


def test_arguments_are_positional_or_named() -> None:
    text, tags = split("a, <lora: my lora :0.5 : NCNF:TE=0.3:unet = 1>b <Lyco:x:LBW=A=B>")
    assert text == "a, b "
    first, second = tags
    assert (first.kind, first.name, first.positional) == ("lora", "my lora", ("0.5", "NCNF"))
    assert first.named == {"te": "0.3", "unet": "1"}
    assert first.text == "<lora: my lora :0.5 : NCNF:TE=0.3:unet = 1>"
    assert (second.kind, second.name, second.named, second.is_lora) == ("lyco", "x", {"lbw": "A=B"}, True)


def test_named_arguments_may_come_first() -> None:
    (tag,) = split("<lora:lbw=OUTD:zko:0.8>")[1]
    assert (tag.name, tag.positional, tag.named) == ("zko", ("0.8",), {"lbw": "OUTD"})


def test_other_tags_are_taken_out_too() -> None:
    text, (tag,) = split("<hypernet:a:1> (b:1.2) <c> <:d>")
    assert text == " (b:1.2) <c> <:d>"
    assert not tag.is_lora


def test_the_last_of_repeated_keywords_acts() -> None:
    (tag,) = split("<lora:a:te=1:TE=2:te=3>")[1]
    assert (tag.named, tag.repeated) == ({"te": "3"}, ("te=1", "TE=2"))


@given(st.text())
def test_any_text_can_be_split(prompt: str) -> None:
    split(prompt)


@given(st.lists(st.tuples(_PLAIN, _WORDS, _ARGUMENTS)), _PLAIN)
def test_rest_and_tags_are_the_whole_prompt(pieces: list[tuple[str, str, str]], end: str) -> None:
    written = [(plain, f"<{word}:{arguments}>") for plain, word, arguments in pieces]
    text, tags = split("".join(plain + tag for plain, tag in written) + end)
    assert text == "".join(plain for plain, _ in written) + end
    assert [tag.text for tag in tags] == [tag for _, tag in written]
