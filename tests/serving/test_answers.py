"""Completions as OpenAI's own client reads them."""

import pytest

openai = pytest.importorskip("openai", reason="openai is not installed")
httpx = pytest.importorskip("httpx")


@pytest.fixture(scope="module")
def ai(client):
    with (
        httpx.Client(trust_env=False) as http,
        openai.OpenAI(
            base_url=f"{client.base_url}/v1", api_key="none", http_client=http, max_retries=0
        ) as found,
    ):
        yield found


def complete(ai, **options):
    given = {"model": "lm", "prompt": "the ", "max_tokens": 12, "seed": 1, **options}
    return ai.completions.create(**given)


def test_a_completion_is_the_text_of_the_run(ai, served):
    found = complete(ai)
    [choice] = found.choices
    assert "the " + choice.text == served["lm"].generate("the ", seed=1, max_length=12)
    assert (found.object, found.model, choice.finish_reason) == ("text_completion", "lm", "length")
    usage = found.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (4, 12, 16)
    assert [each.id for each in ai.models.list()] == ["lm", "caps", "best"]
    assert ai.models.retrieve("lm").id == "lm"


@pytest.mark.parametrize(
    ("options", "same"),
    [
        ({"temperature": 0.6}, {"decoder": "multinomial", "temperature": 0.6}),
        ({"temperature": 0}, {"decoder": "greedy"}),
        ({"top_p": 0.5}, {"decoder": "top_p", "p": 0.5}),
        ({"stop": ["a", "e"]}, {"stop": ["a", "e"]}),
        (
            {"presence_penalty": 1.5, "frequency_penalty": -0.5},
            {
                "constraints": [
                    {"name": "presence_penalty", "penalty": 1.5},
                    {"name": "frequency_penalty", "penalty": -0.5},
                ]
            },
        ),
        (
            {"logit_bias": {"5": -100}},
            {"constraints": [{"name": "sequence_bias", "tokens": {"5": -100}}]},
        ),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_each_option_means_what_it_means_to_a_run(ai, served, options, same, stream):
    found = complete(ai, stream=stream, **options)
    chunks = [*found] if stream else [found]
    text = "".join(each.choices[0].text for each in chunks)
    assert "the " + text == served["lm"].generate("the ", seed=1, max_length=12, **same)
    reason = chunks[-1].choices[0].finish_reason
    assert reason == ("stop" if "stop" in options else "length")
    assert stream == (len(chunks) > 1)


def test_several_prompts_and_choices(ai):
    found = complete(ai, prompt=["the ", "a "], n=2, temperature=1.0)
    assert [each.index for each in found.choices] == [0, 1, 2, 3]
    assert len({each.text for each in found.choices}) == 4
    assert found.usage.completion_tokens == 48
    alone = complete(ai, prompt="a ", n=2, temperature=1.0)
    assert [each.text for each in alone.choices] == [each.text for each in found.choices[2:]]
    texts = dict.fromkeys(range(4), "")
    for chunk in complete(ai, prompt=["the ", "a "], n=2, temperature=1.0, stream=True):
        texts[chunk.choices[0].index] += chunk.choices[0].text
    assert [*texts.values()] == [each.text for each in found.choices]


def test_the_best_of_some_are_the_most_probable(ai):
    every = complete(ai, n=6, temperature=1.0, logprobs=0).choices
    found = complete(ai, n=2, best_of=6, temperature=1.0).choices
    wanted = sorted(every, key=lambda each: -sum(each.logprobs.token_logprobs))
    assert [each.text for each in found] == [each.text for each in wanted[:2]]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("echo", [False, True])
def test_logprobs(ai, stream, echo):
    found = complete(ai, logprobs=3, temperature=0, stream=stream, echo=echo)
    text, tokens, given, best, offsets = "", [], [], [], []
    for chunk in found if stream else [found]:
        text += chunk.choices[0].text
        if chunk.choices[0].logprobs is not None:
            tokens += chunk.choices[0].logprobs.tokens
            given += chunk.choices[0].logprobs.token_logprobs
            best += chunk.choices[0].logprobs.top_logprobs
            offsets += chunk.choices[0].logprobs.text_offset
    prompt = 4 if echo else 0
    assert text.startswith("the " if echo else "")
    assert len(tokens) == len(given) == len(best) == len(text) == 12 + prompt
    assert offsets == [*range(len(text))]
    assert best[:prompt] == [None] * prompt
    for token, own, candidates in list(zip(tokens, given, best, strict=True))[prompt:]:
        assert len(candidates) == 3
        assert candidates[token] == own == max(candidates.values())


def test_a_prompt_may_be_scored_alone(ai, client):
    [choice] = complete(ai, prompt="the cat", max_tokens=0, echo=True, logprobs=1).choices
    assert choice.text == "the cat"
    [row] = client.ask("/score", model="lm", rows=["the cat"])["rows"]
    assert choice.logprobs.token_logprobs == pytest.approx(row["log_probs"])


def test_a_stream_counts_its_tokens_if_asked(ai):
    *chunks, last = complete(ai, stream=True, stream_options={"include_usage": True})
    assert last.choices == []
    assert last.usage.total_tokens == 16
    assert len({each.id for each in chunks}) == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("n", "choices"), [(1, 1), (3, 3)])
def test_the_n_best_of_a_search_are_the_choices(ai, served, stream, n, choices):
    prompts = ["abc", "e"]
    run = served["best"]
    wanted = [each.text for own in run.continuations(prompts) for each in own[:n]]
    options = {"max_tokens": None, "logprobs": 1, "stream": stream}
    found = complete(ai, model="best", prompt=prompts, n=n, **options)
    chunks = [*found] if stream else [found]
    every = [choice for each in chunks for choice in each.choices]
    assert [each.text for each in every] == wanted
    assert [each.index for each in every] == [*range(2 * choices)]
    assert {each.finish_reason for each in every} <= {"stop", "length"}
    assert all(each.logprobs.top_logprobs[0] is None for each in every)


def test_without_a_seed_texts_differ(ai):
    texts = {complete(ai, seed=None, temperature=1.5, max_tokens=30).choices[0].text for _ in "abc"}
    assert len(texts) == 3


@pytest.mark.parametrize(
    ("options", "kind", "param"),
    [
        ({"model": "gpt"}, openai.NotFoundError, "model"),
        ({"max_tokens": 10**6}, openai.BadRequestError, "max_tokens"),
        ({"suffix": "x"}, openai.BadRequestError, "suffix"),
        ({"prompt": [1, 2]}, openai.BadRequestError, "prompt"),
    ],
)
def test_errors_are_those_of_its_client(ai, options, kind, param):
    with pytest.raises(kind) as caught:
        complete(ai, **options)
    assert caught.value.param == param
    assert caught.value.type
