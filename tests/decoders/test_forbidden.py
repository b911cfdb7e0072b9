"""The constraint `forbid`."""

import pytest

from seqgen.decoders import Forbidden, Limits, constrain, decoders

BATCH = 12


def digits(text):
    return list(map(int, text))


@pytest.mark.parametrize("search", ["greedy", "multinomial", "beam"])
def test_the_texts_never_come_and_parts_of_them_do(deep, search):
    limits = Limits(14)
    decoder = decoders.build(search, seed=3, vocab_size=5)

    def texts(*constraints):
        found = decoder.decode(*constrain(constraints, deep, deep.start(BATCH), limits), limits)
        return ["".join(map(str, each.tokens)) for [each] in found]

    free = texts()
    common = max((text[i : i + 2] for text in free for i in range(13)), key="".join(free).count)
    banned = [common, common[::-1] * 2, "3"]
    found = texts(Forbidden(banned, encode=digits))
    assert not any(each in text for each in banned for text in found)
    assert all(any(digit in text for text in found) for digit in common.replace("3", ""))


def test_one_before_the_prompt_does_not_count(deep):
    """What the search began from is not generated, so no text begins there."""
    start = deep.start(3)  # behind the tokens 0, 1, 2
    stepper, begun = Forbidden(["01", "12", "20"], encode=digits).wrap(deep, start, Limits(3), None)
    assert stepper.step(*begun[:3])[0].isfinite().all()


def test_a_text_without_tokens_is_refused():
    with pytest.raises(ValueError, match="`texts` must have tokens, but '' has none"):
        Forbidden(["0", ""], encode=digits)
