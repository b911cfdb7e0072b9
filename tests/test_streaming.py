"""Texts that grow by any tokenizer, and what shows them."""

import random
import sys
from types import SimpleNamespace

import pytest

from seqgen.decoders import StopStrings
from seqgen.streaming import LONG_PROMPT, TAIL, GrowingText, TextStream
from seqgen.tokenizers import tokenizers

TEXT = "Hé, the 東京 tower!\nthe cat\tsat… 😀 on the\n\nmat. " * 8
KINDS = {
    "char": {},
    "byte": {},
    "word": {},
    "sentencepiece": {"vocab_size": 285, "character_coverage": 0.98},
}
STOPS = ("the\n", "京", "😀 o", "t ")


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request):
    made = tokenizers.build({"name": request.param, **KINDS[request.param]})
    made.fit([TEXT])
    return made


def text_of(tokenizer):
    def text(prompt, tokens):
        return tokenizer.continuation(tokenizer.encode(prompt).tolist(), tokens)

    return text


def draws(tokenizer, count):
    """Texts cut anywhere, and tokens that make no sense together."""
    draw, whole = random.Random(count), tokenizer.encode(TEXT * 2).tolist()
    for _ in range(count):
        begin = draw.randrange(len(whole) // 2)
        yield whole[begin : begin + 10 * TAIL]
        yield draw.choices(range(4, len(tokenizer)), k=60)


@pytest.mark.parametrize("prompt", ["", "Hé, the", "the " * LONG_PROMPT])
@pytest.mark.parametrize("keep", [True, False])
def test_the_pieces_are_the_text_up_to_its_stop_string(tokenizer, prompt, keep):
    text, stopped = text_of(tokenizer), set()
    for strings in ((), *((each,) for each in STOPS), STOPS):
        stops = StopStrings(strings, keep)
        for tokens in draws(tokenizer, 3):
            growing, shown, read = GrowingText(text, prompt, stops), "", []
            for token in tokens:
                read.append(token)
                shown += growing.add(token)
                assert "\ufffd" not in shown or "\ufffd" in text(prompt, read)
                if growing.stopped:
                    break
            final = stops.cut(text(prompt, read))
            assert growing.stopped == (stops.find(text(prompt, read).rstrip("\ufffd")) is not None)
            assert final.startswith(shown)
            assert not growing.stopped or final == shown
            stopped.add(growing.stopped)
    assert stopped == {True, False}


def test_what_a_token_costs_does_not_grow(tokenizer):
    sizes = []

    def text(prompt, tokens):
        sizes.append(len(tokens))
        return text_of(tokenizer)(prompt, tokens)

    growing = GrowingText(text, "", StopStrings(("xyz",)))
    for token in (tokenizer.encode(TEXT).tolist() * 50)[:1500]:
        growing.add(token)
    assert max(sizes) <= 6 * TAIL


def pieces():
    yield "a"
    yield "bc"
    return "whole"


@pytest.mark.parametrize(("before", "wanted"), [("", ["a", "bc"]), ("x ", ["x ", "a", "bc"])])
def test_a_stream_is_an_iterator_that_keeps_the_output(before, wanted):
    stream = TextStream(before, pieces())
    assert next(stream) == wanted[0]
    assert stream.output is None
    assert [*stream] == wanted[1:]
    assert stream.output == "whole"
    assert [*stream] == []
    assert stream.output == "whole"


def test_in_a_notebook_it_grows(monkeypatch):
    """By the two functions of IPython that it uses, which need not be there."""
    seen = []
    handle = SimpleNamespace(update=lambda data, raw: seen.append(data["text/plain"]))

    def display(data, raw, display_id):
        seen.append(data["text/plain"])
        return handle

    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
    monkeypatch.setattr("seqgen.streaming.REDRAWN", 0)
    TextStream("x ", pieces())._ipython_display_()
    assert seen == ["", "x ", "x a", "x abc", "x abc"]
