"""Generation: prompts in, texts out, and nothing left behind."""

from dataclasses import replace

import pytest
import torch

from seqgen.cells import cells
from seqgen.data import Prompts, data
from seqgen.decoders import (
    AllowedTexts,
    Beam,
    Decoder,
    Exact,
    ForcedPrefix,
    Greedy,
    MinimumLength,
    Multinomial,
    NoRepeatNgram,
    RepetitionPenalty,
    Start,
    decoders,
)
from seqgen.errors import PluginError
from seqgen.generate import SAMPLES_APART, GenerationOptions, Generator, stop_token_ids
from seqgen.machine import computing
from seqgen.models import Generative, models
from seqgen.streaming import TextStream
from seqgen.tokenizers import BOS, EOS, PAD, UNK, CharTokenizer, WholeTokenizer, WordTokenizer

CPU = torch.device("cpu")
TEXT, PAIRS = (
    data.build({"name": name, "corpus": corpus}, seed=1)
    for name, corpus in (("text", "unicode_names"), ("pairs", "hangul"))
)


class Sentences(type(TEXT)):
    """Texts that end by themselves."""

    ends = True

    def __init__(self):
        super().__init__(corpus=TEXT.corpus)


class Endless(type(PAIRS)):
    """Pairs whose targets do not end by themselves."""

    ends = False

    def __init__(self):
        super().__init__(corpus=PAIRS.corpus)


ALPHABET = "abcdefgh é\n\ufffd"
LETTERS = {"vocab_size": 9, "encode": lambda text: [4 + ord(each) - 97 for each in text]}
FORCED = ForcedPrefix(**LETTERS, text="ab")
ALLOWED = AllowedTexts(("abc", "bcde"), **LETTERS)


def build(small, cell="lstm_cell", kind=None, dropout=0.0):
    torch.manual_seed(1)
    tokenizer = CharTokenizer(alphabet=ALPHABET)
    spec = {"name": "language_model", "cell": small(cells, cell), "dropout": dropout}
    model = models.build(spec, vocab_size=len(tokenizer))
    with torch.no_grad():
        for each in model.parameters():
            each.mul_(3)
    return Generator(model, {"text": tokenizer}, kind or TEXT, CPU)


@pytest.fixture
def generator(small):
    return build(small)


@pytest.fixture(params=[0.0, 0.8, 1.5])
def decoder(request):
    return Multinomial(7, request.param) if request.param else Greedy()


def texts_of(found):
    return [[each.text for each in row] for row in found]


PROMPTS = ["", "a", "the bad face", "h\n", "zzz"]


def test_each_prompt_has_its_continuation(generator, decoder):
    found = generator.generate(PROMPTS, decoder, 30)
    assert [row[0].prompt for row in found] == PROMPTS
    for [each] in found:
        assert len(each.text) == len(each.hypothesis.tokens) == len(each.pieces) == 30
        assert "".join(each.pieces) == each.text
        assert not each.hypothesis.finished


class Watching(Greedy):
    """Keeps how many threads have taken the first step."""

    def decode(self, stepper, start, limits):
        stepper.step(start.tokens, start.state, start.context)
        self.threads = torch.get_num_threads()
        return super().decode(stepper, start, limits)


@pytest.mark.parametrize(
    ("wanted", "most", "rows", "threads"),
    [("auto", 3, 1, 1), ("auto", 3, 2, 2), ("auto", 3, 5, 3), ("auto", 1, 5, 1), (2, 1, 1, 2)],
)
def test_the_rows_of_a_step_decide_its_threads(wanted, most, rows, threads, generator, monkeypatch):
    parameters = sum(each.numel() for each in generator.model.parameters())
    monkeypatch.setattr("seqgen.generate.STEP_WORK_PER_THREAD", parameters)
    asked, decoder = replace(generator, threads=wanted), Watching()
    with computing(most):
        asked.generate(["a"] * rows, decoder, 3)
        assert decoder.threads == threads
        for _ in asked.stream("a", Greedy(), 3):
            assert torch.get_num_threads() == most
        asked.first_tokens("a", 1.0)
        assert torch.get_num_threads() == most


def test_scores_are_those_of_the_model_that_reads_the_whole(generator, decoder):
    """Tokens that no text has are left out without changing the scores of the others."""
    for [each] in generator.generate(PROMPTS, decoder, 12):
        tokenizer = generator.tokenizer
        tokens = [*(tokenizer.encode(each.prompt) if each.prompt else [BOS])]
        read = torch.tensor([[*tokens, *each.hypothesis.tokens]])
        with torch.inference_mode():
            outputs, _ = generator.model.cell(generator.model.embedding(read[:, :-1]))
            log_probs = generator.model.head.log_probs(outputs)[0, len(tokens) - 1 :]
        wanted = log_probs.gather(1, read[0, len(tokens) :, None]).squeeze(1).tolist()
        assert each.hypothesis.log_probs == pytest.approx(wanted, abs=1e-5)
        assert each.hypothesis.score == pytest.approx(sum(wanted), abs=1e-4)


def test_a_text_does_not_depend_on_the_batch(generator, decoder):
    whole = texts_of(generator.generate(PROMPTS, decoder, 20, samples=2))
    for size in (1, 2, 5):
        batches = [range(len(PROMPTS))[first : first + size] for first in range(0, 5, size)]
        parts = [
            generator.generate([PROMPTS[i] for i in ids], decoder, 20, 2, ids) for ids in batches
        ]
        assert [text for part in parts for text in texts_of(part)] == whole


def test_more_samples_change_none_of_the_others(generator):
    decoder = Multinomial(7)
    few, many = (texts_of(generator.generate(PROMPTS, decoder, 20, n)) for n in (1, 4))
    assert [row[:1] for row in many] == few
    assert all(len(set(row)) == 4 for row in many)


def test_each_copy_has_an_id_of_its_own(generator):
    class Noting(Greedy):
        def decode(self, stepper, start, limits):
            self.ids = start.sequence_ids.tolist()
            return super().decode(stepper, start, limits)

    decoder = Noting()
    generator.generate(["a", "b"], decoder, 1, samples=2, sequence_ids=[3, 4])
    assert decoder.ids == [3, 3 + SAMPLES_APART, 4, 4 + SAMPLES_APART]


@pytest.mark.parametrize(
    ("constraint", "max_length", "warning"),
    [
        (MinimumLength(20), 5, "minimum_length needs at least 20 tokens, but max_length is 5"),
        (MinimumLength(2, ratio=3.0), 8, "minimum_length needs more tokens than some outputs may"),
        (FORCED, 1, "forced_prefix needs at least 2 tokens, but max_length is 1"),
        (FORCED, 0, "forced_prefix needs at least 2 tokens, but max_length is 0"),
        (ALLOWED, 2, "allowed needs at least 3 tokens, but max_length is 2"),
    ],
)
def test_a_constraint_without_room_is_a_warning_and_its_outputs_say_so(
    generator, constraint, max_length, warning
):
    decoder = Greedy()
    decoder.constraints = (constraint,)
    with pytest.warns(UserWarning, match=warning):
        found = generator.generate(["a", "bad"], decoder, max_length)
    short = isinstance(constraint, MinimumLength) and constraint.ratio > 0
    assert [each.hypothesis.satisfied for [each] in found] == [short, False]
    if not max_length:
        return
    generous = generator.generate(["a", "bad"], decoder, 30)
    assert all(each.hypothesis.satisfied for [each] in generous)


def test_memory_follows_the_output_and_not_the_limit(small):
    generator = build(small, kind=Sentences())
    for decoder in (Greedy(), Multinomial(1), Beam(3), Exact(max_nodes=50)):
        decoder.constraints = (NoRepeatNgram(3), RepetitionPenalty(1.5), MinimumLength(1))
        found = generator.generate(["a", "bad"], decoder, 10**12)
        assert found == generator.generate(["a", "bad"], decoder, 5000)


def test_no_prompts_or_no_length_no_text(generator, decoder):
    assert generator.generate([], decoder, 5) == []
    [[each]] = generator.generate(["ab"], decoder, 0)
    assert (each.text, each.pieces, each.hypothesis.tokens) == ("", (), ())
    assert list(generator.stream("ab", decoder, 0)) == []


def test_special_tokens_never_come(small):
    decoder = Multinomial(7, 50.0)
    endless = build(small).generate(["a"] * 20, decoder, 50)
    assert not {t for [each] in endless for t in each.hypothesis.tokens} & {PAD, BOS, EOS, UNK}
    ending = build(small, kind=Sentences()).generate(["a"] * 20, decoder, 50)
    assert not {t for [each] in ending for t in each.hypothesis.tokens} & {PAD, BOS, UNK}
    finished = [each for [each] in ending if each.hypothesis.finished]
    assert finished
    for each in finished:
        assert each.hypothesis.tokens.index(EOS) == len(each.hypothesis.tokens) - 1
        assert each.pieces[-1] == "<eos>"
        assert "".join(each.pieces[:-1]) == each.text


class TestStream:
    def test_the_pieces_are_the_text(self, generator, decoder):
        for prompt in PROMPTS:
            [[each]] = generator.generate([prompt], decoder, 40)
            pieces = list(generator.stream(prompt, decoder, 40))
            assert "".join(pieces) == each.text
            assert all(pieces)

    def test_pieces_come_as_soon_as_they_are_there(self, generator):
        walk = generator.stream("a", Greedy(), 10**9)
        assert len("".join(next(walk) for _ in range(5))) >= 5
        walk.close()

    def test_the_caller_keeps_gradients_and_mode_between_pieces(self, generator):
        generator.model.train()
        weight = torch.ones(1, requires_grad=True)
        for _ in generator.stream("a", Multinomial(7), 5):
            assert not torch.is_inference_mode_enabled()
            assert generator.model.training
            (weight * 2).backward()
        assert weight.grad.item() >= 2


@pytest.mark.parametrize("training", [True, False])
def test_dropout_is_off_and_the_mode_is_as_before(small, training):
    generator = build(small, dropout=0.5)
    generator.model.train(training)
    found = [texts_of(generator.generate(["a"], Multinomial(7), 30)) for _ in range(2)]
    assert found[0] == found[1]
    assert generator.first_tokens("a", 1.0) == generator.first_tokens("a", 1.0)
    assert generator.model.training == training


def test_the_mode_is_as_before_when_it_fails(generator):
    generator.model.train()
    for ask in (
        lambda: generator.generate(["\ud800"], Greedy(), 5),
        lambda: list(generator.stream("\ud800", Greedy(), 5)),
        lambda: generator.first_tokens("\ud800", 1.0),
    ):
        with pytest.raises(ValueError, match="lone surrogate"):
            ask()
        assert generator.model.training
        assert not torch.is_inference_mode_enabled()


class TestFirstTokens:
    @pytest.mark.parametrize("temperature", [1e-4, 0.5, 1.0, 100.0])
    def test_are_the_most_probable_in_order(self, generator, temperature):
        found = generator.first_tokens("ab", temperature, top=100)
        values = [each["probability"] for each in found]
        assert values == sorted(values, reverse=True)
        assert sum(values) == pytest.approx(1)
        assert len(found) == len(generator.tokenizer)
        shown = {each["token"]: each["probability"] for each in found}
        assert all(shown[special] == 0 for special in ("<pad>", "<bos>", "<eos>", "<unk>"))
        assert len(generator.first_tokens("ab", temperature)) == 8

    def test_at_zero_one_is_certain(self, generator):
        found = generator.first_tokens("ab", 0.0)
        [[greedy]] = generator.generate(["ab"], Greedy(), 1)
        assert found[0] == {"token": greedy.text, "probability": 1.0}
        assert {each["probability"] for each in found[1:]} == {0.0}

    def test_are_what_the_first_draw_draws_from(self, generator):
        found = generator.generate(["ab"], Multinomial(3, 0.7), 1, samples=5000)
        drawn = [each.text for each in found[0]]
        for each in generator.first_tokens("ab", 0.7, top=3):
            share = drawn.count(each["token"]) / 5000
            assert share == pytest.approx(each["probability"], abs=0.03)


def test_prompts_are_read_on_the_device_of_the_generator(generator):
    batch = generator.batch(["a"])
    assert isinstance(batch, Prompts)
    assert generator.start(batch, generator.limits(batch, 1))[1].tokens.device == CPU


def test_limits_end_where_the_data_ends(small, generator):
    assert generator.limits(generator.batch(["a"]), 5).ends == ()
    other = build(small, kind=Sentences())
    assert other.limits(other.batch(["a"]), 5).ends == (EOS,)


class Mirror(Generative):
    """Writes the tokens of a source backwards, and looks at each one that it writes.

    `certain` is how sure it is; what it is not sure of goes to all tokens alike.
    """

    looks_back = True

    def __init__(self, vocab_size, certain=1 - 1e-6):
        super().__init__()
        self.vocab_size, self.certain = vocab_size, certain

    def loss(self, batch, state=None):
        raise NotImplementedError

    score = loss

    def start(self, batch):
        rows, longest = batch.values.shape
        written = torch.full((rows, longest + 1), EOS)
        for row, own, length in zip(written, batch.values, batch.lengths.tolist(), strict=True):
            row[: length - 1] = own[: length - 1].flip(0)
        return Start(torch.full((rows,), BOS), torch.zeros_like(batch.lengths), written)

    def step(self, tokens, state, context):
        k = len(tokens) // len(context)
        here = context.repeat_interleave(k, 0).gather(
            1, state.clamp(max=context.shape[1] - 1).unsqueeze(1)
        )
        rest = (1 - self.certain) / (self.vocab_size - 1)
        shares = torch.full((len(tokens), self.vocab_size), rest).scatter(1, here, self.certain)
        return shares.log(), state + 1

    def attention_weights(self, batch):
        weights = torch.zeros(*batch.targets.shape, batch.sources.values.shape[1])
        for row, length in zip(weights, batch.sources.lengths.tolist(), strict=True):
            for step, looked in enumerate(row):
                looked[: length - 1] = 0.5 / length
                if step < length - 1:
                    looked[length - 2 - step] = 0.5
                looked[length - 1] = 0.9  # the end of the source is no piece of it
        return weights


def mirror(known, tokenizer=None, certain=1 - 1e-6, **options):
    """A Generator that mirrors pairs, whose two tokenizers know the same words."""
    tokenizer = tokenizer or WordTokenizer()
    tokenizer.fit([known])
    model, tokenizers = Mirror(len(tokenizer), certain), dict.fromkeys(PAIRS.fields, tokenizer)
    return Generator(model, tokenizers, PAIRS, CPU, GenerationOptions(**options))


def texts_for(generator, *sources, decoder=None, **how):
    found = generator.generate(sources, decoder or Greedy(), **how)
    return [best.text for best, *_ in found]


class TestUnknown:
    """What a model does not know, `replace_unknown` takes from the source."""

    def test_it_is_never_said_by_default(self):
        generator = mirror("the cat sat")
        [[found]] = generator.generate(["the dog sat"], Greedy())
        assert UNK not in found.hypothesis.tokens
        assert "\ufffd" not in found.text

    @pytest.mark.parametrize(
        ("known", "make", "source", "wanted"),
        [
            *(("the cat sat", WordTokenizer, *pair) for pair in [
                ("the cat sat", "sat cat the"),
                ("the dog sat", "sat dog the"),
                ("dog", "dog"),
                ("a dog, b", "b dog, a"),
                ("one two three four", "four three two one"),
                ("", ""),
                ("дом the 😀 e\u0301", "e\u0301 😀 the дом"),
                # What is put in may look like what is replaced.
                ("dog \ufffd", "\ufffd dog"),
                ("\ufffd dog \ufffd cow", "cow \ufffd dog \ufffd"),
                ("<unk> dog <eos>", "<eos> dog <unk>"),
            ]),
            # A word of the vocabulary stays what it is.
            ("the \ufffd sat", WordTokenizer, "dog \ufffd the", "the \ufffd dog"),
            *(("cat dog the", lambda: WordTokenizer(pattern="[a-z]+"), *pair) for pair in [
                ("cat-zork 42 dog", "dog zork cat"),
                ("zork (the) 7 Zorks", "orks the zork"),
                ("3 moo-moo!", "moo moo"),
            ]),
            *(("abc", CharTokenizer, *pair) for pair in [
                ("abc", "cba"),
                ("axyb", "byxa"),
                ("é", "é"),
                ("a😀b한", "한b😀a"),
                ("e\u0301a", "a\u0301e"),
                ("x\ufffda", "a\ufffdx"),
            ]),
        ],
    )  # fmt: skip
    def test_each_is_the_piece_that_was_looked_at(self, known, make, source, wanted):
        generator = mirror(known, make(), replace_unknown=True)
        assert texts_for(generator, source) == [wanted]
        assert texts_for(generator, known[:3], source, known)[1] == wanted
        [[found]] = generator.generate([source], Greedy())
        assert found.hypothesis.tokens.count(UNK) == found.pieces.count("<unk>")
        stream = TextStream("", generator.stream(source, Greedy()))
        assert "".join(stream) == wanted
        assert stream.output == found

    def test_each_of_several_outputs_has_its_own(self):
        generator = mirror("the cat", certain=0.6, replace_unknown=True)
        found = generator.generate(["dog the", "cow"], Beam(4, 4))
        assert found[0][0].text == "the dog"
        for own in found:
            assert len({each.hypothesis.tokens for each in own}) == 4
            for each in own:
                words = [token for token in each.hypothesis.tokens if token > EOS]
                assert len(each.text.split()) == len(words)
                assert "\ufffd" not in each.text
        copies = generator.generate(["dog the"], Multinomial(1, 2.0), samples=5)[0]
        assert len(copies) == 5

    def test_where_nothing_was_looked_at_it_stays(self):
        generator = mirror("the cat", replace_unknown=True)
        generator.model.attention_weights = lambda batch: torch.zeros(*batch.targets.shape, 9)
        assert texts_for(generator, "dog the") == ["the \ufffd"]
        generator.model.attention_weights = lambda batch: None
        assert texts_for(generator, "dog the") == ["the \ufffd"]

    def test_no_room_for_a_word(self):
        generator = mirror("the cat", replace_unknown=True)
        assert texts_for(generator, "dog the", "", max_length=0) == ["", ""]

    @pytest.mark.parametrize("feeding", [False, True])
    def test_by_a_model_with_attention(self, feeding):
        torch.manual_seed(1)
        generator = mirror("the cat sat on", replace_unknown=True)
        cell = {"name": "gru", "hidden_size": 8}
        spec = {
            "name": "seq2seq",
            "encoder": {"name": "recurrent", "cell": cell, "embedding": {"size": 4}},
            "cell": cell,
            "attention": "general",
            "input_feeding": feeding,
            "embedding": {"size": 4},
        }
        model = models.build(spec, vocab_size=8, source={"vocab_size": 8})
        model.head.project.bias.data[UNK] += 3
        generator = replace(generator, model=model)
        sources = ["dog the", "one two three four five", "sat"]
        for max_length in (0, 6):
            found = generator.generate(sources, Greedy(), max_length)
            for source, [each] in zip(sources, found, strict=True):
                assert len(each.hypothesis.tokens) <= max_length
                weights = generator.attention([source], [each.hypothesis.tokens])[0]
                words, wanted = source.split(), []
                rows = zip(each.hypothesis.tokens, each.pieces, weights, strict=False)
                for token, piece, row in rows:
                    looked_at = words[int(row[: len(words)].argmax())]
                    wanted += [looked_at if token == UNK else piece] * (token != EOS)
                assert each.text == " ".join(wanted)
                assert max_length == 0 or UNK in each.hypothesis.tokens


class TestLimits:
    def allowed(self, *sources, max_length=None, **options):
        generator = mirror("a b", **options)
        return generator.limits(generator.batch(sources), max_length)

    @pytest.mark.parametrize(
        ("sources", "options", "wanted"),
        [
            (("a", "a b a"), {}, 300),
            (("a", "a b a"), {"max_length": 7}, 7),
            (("a",), {"max_length_extra": 2}, 300),
            # 0.29 * 100 is 28.999999999999996 in floats, and what is whole counts whole.
            (("a " * 99,), {"max_length_ratio": 0.29, "max_length_extra": 0}, [29]),
        ],
    )
    def test_of_outputs(self, sources, options, wanted):
        assert self.allowed(*sources, **options).max_length == wanted

    @pytest.mark.parametrize(
        ("ratio", "extra", "wanted"),
        [
            (1.0, 0, [1, 2, 11]),
            (2.0, 1, [3, 5, 23]),
            (0.5, 0, [0, 1, 5]),
            (0.1, 10, [10, 10, 11]),
            (1.1, 0, [1, 2, 12]),
        ],
    )
    def test_relative_to_the_tokens_of_the_source_and_its_end(self, ratio, extra, wanted):
        options = {"max_length_ratio": ratio, "max_length_extra": extra}
        sources = ("", "a", "a " * 10)
        assert self.allowed(*sources, **options).max_length == wanted
        cut = self.allowed(*sources, max_length=4, **options).max_length
        assert cut == [min(4, each) for each in wanted]

    def test_each_sample_has_the_limit_of_its_source(self):
        sources, options = ["a b a b", "a", "b a"], {"max_length_ratio": 1.0, "max_length_extra": 0}
        generator = mirror("a b", certain=0.3, **options)
        generator = replace(generator, data=Endless())
        for samples in (1, 3):
            found = generator.generate(sources, Multinomial(1), samples=samples)
            for own, most in zip(found, [5, 2, 3], strict=True):
                assert [len(each.hypothesis.tokens) for each in own] == [most] * samples

    @pytest.mark.parametrize("samples", [1, 2])
    @pytest.mark.parametrize("name", ["tagged", "labelled"])
    def test_labels_are_as_many_as_the_data_says(self, name, samples):
        generator = labeller(name)
        sources = ["a b a b", "a", "", "c c c"]
        found = generator.generate(sources, Multinomial(1), samples=samples)
        wanted = [4, 1, 0, 3] if name == "tagged" else [1] * 4
        for own, length in zip(found, wanted, strict=True):
            assert len(own) == samples
            for each in own:
                assert len(each.hypothesis.tokens) == length
                assert set(each.hypothesis.tokens) <= {4, 5}
                assert each.text == " ".join(each.pieces)
        few = generator.generate(sources, Greedy(), 2)
        assert [len(own[0].hypothesis.tokens) for own in few] == [min(2, n) for n in wanted]


def labeller(name):
    """A Generator for texts with a label, or with one for each word."""
    torch.manual_seed(1)
    tagged = name == "tagged"
    corpus = "punctuation" if tagged else "unicode_categories"
    kind = data.build({"name": name, "corpus": corpus}, seed=1)
    source = WholeTokenizer() if tagged else CharTokenizer()
    tokenizers = {"source": source, "target": WholeTokenizer()}
    tokenizers["source"].fit(["a", "b"])
    tokenizers["target"].fit(["X", "Y"])
    cell = {"name": "gru", "hidden_size": 4}
    encoder = {"name": "recurrent", "cell": cell, "embedding": {"size": 4}}
    spec = {"name": "tagger" if tagged else "classifier", "encoder": encoder}
    return Generator(models.build(spec, **kind.sizes(tokenizers)), tokenizers, kind, CPU)


class TestSources:
    def test_attention_of_outputs_of_different_length(self):
        generator = mirror("a b")
        weights = generator.attention(["a b", "a", ""], [[4, 5, 2], [], [2]])
        assert weights.shape == (3, 3, 3)

    def test_the_stream_of_an_output(self):
        generator = mirror("a b")
        assert "".join(generator.stream("a b b", Greedy())) == "b b a"


class Mute(Decoder):
    """A decoder from outside that forgets a source."""

    def decode(self, stepper, start, limits):
        return [[] for _ in range(len(start.tokens) - 1)]


def test_a_decoder_from_outside_that_breaks_its_contract_is_named(generator):
    with pytest.raises(PluginError, match=r"the decoder Mute .*an entry for each of 2 sources"):
        generator.generate(["a", "b"], Mute())


STOPPED = [
    {"stop": ("b",)},
    {"stop": ("b", "e g", "\n"), "keep_stop": True},
    {"stop": (" é", "ab"), "stop_tokens": ("h", "c")},
    {"stop_tokens": ("a", "\n"), "keep_stop": True},
    {"stop": ("not there",)},
]
EVERY = ["greedy", "multinomial", "beam", "diverse_beam", "stochastic_beam", "exact"]
EVERY += ["minimum_bayes_risk"]


def made_by(name, vocab_size=15):
    options = {"n_best": 2} if name in ("beam", "exact", "minimum_bayes_risk") else {}
    return decoders.build({"name": name, **options}, seed=3, vocab_size=vocab_size)


class TestStopping:
    """What ends an output besides its end token, by every kind of decoder."""

    @pytest.mark.parametrize("kind", [TEXT, Sentences()], ids=["endless", "ending"])
    @pytest.mark.parametrize("options", STOPPED, ids=range(len(STOPPED)))
    @pytest.mark.parametrize("name", EVERY)
    def test_it_counts_in_a_batch_and_alone_alike(self, small, name, options, kind):
        generator = build(small, kind=kind)
        generator = replace(generator, options=GenerationOptions(**options))
        found = generator.generate(PROMPTS, made_by(name), 12)
        for place, own in enumerate(found):
            alone = generator.generate([PROMPTS[place]], made_by(name), 12, sequence_ids=[place])
            for each, one in zip(own, *alone, strict=True):
                # Scores vary in the last bits with the other rows of a batch.
                scores = {"log_probs": (), "score": 0.0, "rank": None}
                made = (x.hypothesis._replace(**scores) for x in (each, one))
                assert (each.text, next(made)) == (one.text, next(made))
                self.check(generator, options, each)

    def check(self, generator, options, output):
        """The text, the tokens and the reason of an output are of one mind."""
        made, tokenizer = output.hypothesis, generator.tokenizer
        named = generator.stop_tokens
        content = made.tokens[:-1] if made.tokens[-1:] == (EOS,) else made.tokens
        whole, keep = tokenizer.decode(content), options.get("keep_stop", False)
        found = generator.stops.find(whole)
        assert output.pieces == tuple(map(tokenizer.shown, made.tokens))
        assert len(made.log_probs) == len(made.tokens)
        assert made.score == pytest.approx(sum(made.log_probs), abs=1e-4)
        if made.finish_reason == "stop" and found:
            assert (made.stop, made.finished, found.end) == (found.string, True, len(whole))
            assert output.text == whole[: found.end if keep else found.start]
        elif made.finish_reason == "stop":
            assert (made.stop, made.finished) == (named[made.tokens[-1]], True)
            assert output.text == (whole if keep else tokenizer.decode(content[:-1]))
        else:
            assert found is None
            assert (made.stop, output.text) == ("", whole)
            assert made.finished == (made.finish_reason == "end") == (made.tokens[-1:] == (EOS,))
            assert made.finished or (made.finish_reason, len(made.tokens)) == ("length", 12)
        assert not {*made.tokens[:-1]} & {*named, EOS}
        early = {"finish_reason": "stop", "stop": made.stop} if made.stop else {}
        assert output.early_end == early

    @pytest.mark.parametrize("kind", [TEXT, Sentences()], ids=["endless", "ending"])
    @pytest.mark.parametrize("options", STOPPED, ids=range(len(STOPPED)))
    @pytest.mark.parametrize("constraints", [(), (NoRepeatNgram(2), MinimumLength(6))])
    def test_a_stream_is_the_output_that_it_returns(
        self, small, options, kind, decoder, constraints
    ):
        generator = build(small, kind=kind)
        generator = replace(generator, options=GenerationOptions(**options))
        decoder.constraints = constraints
        for place, prompt in enumerate(PROMPTS):
            [[wanted]] = generator.generate([prompt], decoder, 40, sequence_ids=[place])
            stream = TextStream("", generator.stream(prompt, decoder, 40, place))
            assert "".join(stream) == wanted.text
            assert stream.output == wanted

    def test_all_kinds_of_ends_are_reached(self, small):
        reasons = set()
        for kind in (TEXT, Sentences()):
            generator = build(small, kind=kind)
            generator = replace(generator, options=GenerationOptions(**STOPPED[0]))
            found = generator.generate(PROMPTS, Multinomial(1), 12, samples=5)
            reasons |= {each.hypothesis.finish_reason for own in found for each in own}
        assert reasons == {"stop", "end", "length"}

    @pytest.mark.parametrize("kind", [TEXT, Sentences()], ids=["endless", "ending"])
    @pytest.mark.parametrize("name", EVERY)
    def test_after_max_seconds_outputs_are_what_there_is(self, small, name, kind):
        generator = build(small, kind=kind)
        generator = replace(generator, options=GenerationOptions(max_seconds=1e-9))
        for own in generator.generate(PROMPTS, made_by(name), 10**6):
            for each in own:
                made = each.hypothesis
                assert (made.tokens, made.log_probs, made.score) == ((), (), 0.0)
                assert (made.finish_reason, made.finished, each.text) == ("time", False, "")
                assert each.early_end == {"finish_reason": "time"}
        if made_by(name).streams:
            stream = TextStream("", generator.stream("a", made_by(name), 10**6))
            assert len("".join(stream)) <= 1
            assert stream.output.hypothesis.finish_reason in ("time", "end")

    def test_an_output_without_room_is_stopped_by_nothing(self, small):
        generator = replace(build(small), options=GenerationOptions(stop=("a",)))
        [[each]] = generator.generate(["a"], Greedy(), 0)
        assert (each.text, each.hypothesis.finish_reason) == ("", "length")

    @pytest.mark.parametrize(
        ("options", "text", "stop"),
        [
            ({"stop": ("a b",)}, "b ", "a b"),  # it spans tokens and the spaces between them
            ({"stop": (" b",)}, "b a", " b"),
            ({"stop": ("b a",), "keep_stop": True}, "b a", "b a"),
            ({"stop_tokens": ("a",)}, "b", "a"),
            ({"stop": ("x",)}, "b a b b", ""),
        ],
    )
    def test_words_of_sources(self, options, text, stop):
        generator = mirror("a b", **options)
        for name in EVERY:
            [[found, *_]] = generator.generate(["b b a b"], made_by(name, 6))
            assert (found.text, found.hypothesis.stop) == (text, stop)
        assert "".join(generator.stream("b b a b", Greedy())) == text

    def test_what_was_unknown_may_be_a_stop_string_too(self):
        generator = mirror("a b", stop=("dog",), replace_unknown=True)
        assert texts_for(generator, "b dog a") == ["a "]
        assert "".join(generator.stream("b dog a", Greedy())) == "a "

    @pytest.mark.parametrize(
        ("texts", "said"),
        [
            (("ab",), "'ab' must be one token, but is 2 tokens; `stop` takes any string"),
            (("a", "?"), "'\\?' must be one token, but is no token of the vocabulary"),
        ],
    )
    def test_a_stop_token_is_one_token(self, generator, texts, said):
        with pytest.raises(ValueError, match=said):
            stop_token_ids(texts, generator.tokenizer)
