"""States of texts: what goes on from one is what reads the whole, and a file is never believed."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load, save

import seqgen
from seqgen.cells import cells
from seqgen.data import data
from seqgen.errors import CheckpointError, SetupError
from seqgen.generate import Generator
from seqgen.models import READ_AT_ONCE, models
from seqgen.state import leaves, outline
from seqgen.text_state import CONTEXT, TextState
from seqgen.tokenizers import CharTokenizer, LongText, tokenizers

CPU = torch.device("cpu")
WORDS = "the cat sat on a mat and saw dogs run far to a café "
TEXT = WORDS * 20


class Uncut(CharTokenizer):
    """A tokenizer that does not know where a text may be cut."""

    def last_cut(self, text):
        return 0


TOKENIZERS = {
    "char": CharTokenizer,
    "uncut": Uncut,
    "byte": lambda: tokenizers.build("byte"),
    "word": lambda: tokenizers.build("word"),
    "lower": lambda: tokenizers.build({"name": "word", "lower": True}),
    "exact": lambda: tokenizers.build({"name": "word", "split": "exact"}),
    "pieces": lambda: tokenizers.build({"name": "sentencepiece", "vocab_size": 284}),
}
# Where a text is cut: in a word, before and after a space, in white space, near a part, nowhere.
CUTS = [1, 3, 4, 60, READ_AT_ONCE, READ_AT_ONCE + 1, 2 * READ_AT_ONCE + 3, 700, len(TEXT) - 1]


def build(small, tokenizer="char", cell="lstm", kind="text"):
    torch.manual_seed(1)
    made = TOKENIZERS[tokenizer]()
    made.fit([TEXT])
    spec = {"name": "language_model", "cell": small(cells, cell)}
    model = models.build(spec, vocab_size=len(made)).eval()
    own = data.build({"name": kind, "corpus": "unicode_names"}, seed=1)
    return Generator(model, {"text": made}, own, CPU)


def start(generator, *texts):
    batch = generator.batch(texts)
    with torch.inference_mode():
        return generator.start(batch, generator.limits(batch, 5))[1]


def read(generator, text, run="a run"):
    return generator.read(text if isinstance(text, LongText) else LongText.of(text), run)[0]


def same(one, other):
    assert outline(one) == outline(other)
    return all(map(torch.equal, leaves(one), leaves(other)))


@pytest.mark.parametrize("kind", ["text", "lines"])
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_what_goes_on_begins_where_the_whole_does(tokenizer, kind, small):
    """To the last bit, wherever the text is cut, at once or by way of two states."""
    generator = build(small, tokenizer, kind=kind)
    for text in (TEXT, TEXT.replace(" ", " " * 9), "", "mat"):
        for cut in (0, *CUTS):
            begun = replace(generator, begun=read(generator, text[:cut]))
            assert same(start(begun, text[cut:]), start(generator, text)), (cut, text[:cut])


@pytest.mark.parametrize("cell", cells.names())
def test_for_every_cell(cell, small):
    generator = build(small, cell=cell)
    state = read(generator, TEXT[:600])
    begun = replace(generator, begun=state)
    for more in ("", "mat"):
        assert same(start(begun, more), start(generator, TEXT[:600] + more)), more
    # A row of a batch is as alone but for rounding.
    together = start(begun, "", "mat and a", "the")
    for row, more in enumerate(("", "mat and a", "the")):
        alone = start(begun, more)
        assert together.tokens[row] == alone.tokens[0]
        for all_rows, own in zip(leaves(together.state), leaves(alone.state), strict=True):
            torch.testing.assert_close(all_rows[[row]], own, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("tokenizer", ["char", "word", "pieces"])
def test_the_parts_of_a_file_do_not_matter(tokenizer, small):
    generator = build(small, tokenizer)
    whole = read(generator, TEXT)
    for size in (1, 7, 300):
        chunks = [TEXT[place : place + size] for place in range(0, len(TEXT), size)]
        found = read(generator, LongText(lambda _, chunks=chunks: iter(chunks), len(TEXT)))
        assert same((found.last, found.end), (whole.last, whole.end))
        assert same(start(replace(generator, begun=found), "mat"), start(generator, TEXT + "mat"))


def test_a_state_stays_small(small):
    found = read(build(small), TEXT * 50)
    assert len(found.pending) <= READ_AT_ONCE
    assert found.tail == found.context == (TEXT * 50)[-CONTEXT:]


@pytest.fixture(scope="module")
def run(finished_run):
    return seqgen.load(finished_run)


class TestOfARun:
    @pytest.mark.parametrize("decoder", ["multinomial", "beam"])
    @pytest.mark.parametrize("more", [None, "", "the c", "mat " * 90])
    def test_the_same_text_as_after_the_whole(self, decoder, more, run):
        state = run.state(TEXT)
        found = run.generate(more, decoder, 120, state=state)
        assert TEXT + found == run.generate(TEXT + (more or ""), decoder, 120)

    def test_many_prompts_go_on_from_one(self, run):
        after = run.after(run.state(TEXT))
        found = after.continuations(["the ", "", "a mat"], max_length=30)
        wanted = run.continuations([TEXT + "the ", TEXT, TEXT + "a mat"], max_length=30)
        assert [one.text for [one] in found] == [one.text for [one] in wanted]
        assert [one.prompt for [one] in found] == ["the ", "", "a mat"]

    def test_what_is_unknown_is_said(self, run):
        with pytest.warns(UserWarning, match=r"2 tokens of the text are unknown .*: 'X'"):
            run.state("the cat X" + TEXT + "X")

    def test_a_file_holds_it(self, run, tmp_path):
        state = run.state(TEXT)
        state.save(tmp_path / "state")
        found = run.load_state(tmp_path / "state")
        for name, value in vars(state).items():
            other = getattr(found, name)
            plain = isinstance(value, str | bool)
            assert value == other if plain else same(value, other), name
        with pytest.raises(SetupError, match="cannot be written"):
            state.save(tmp_path / "nothing" / "state")

    def test_states_of_another_run_are_refused(self, run, run_once, tmp_path):
        other = seqgen.load(run_once("data.path=HERE/text.txt", "seed=2"))
        state = other.state("the cat")
        with pytest.raises(ValueError, match="`state` must be one of this run"):
            run.generate(state=state)
        with pytest.raises(ValueError, match="`other` must be a state of the same run"):
            run.state("the cat").blend(state, 0.5)
        state.save(tmp_path / "state")
        with pytest.raises(CheckpointError, match="state: a state of another run"):
            run.load_state(tmp_path / "state")
        with pytest.raises(CheckpointError, match="state of another run"):
            run.in_double_precision().load_state(tmp_path / "state")

    def test_models_that_answer_sources_have_none(self, pairs_run):
        with pytest.raises(ValueError, match="its outputs answer sources"):
            seqgen.load(pairs_run).state("the cat")
        model = seqgen.load(pairs_run).built.model
        with pytest.raises(ValueError, match="a Seq2Seq keeps no state of a text"):
            model.read_on(torch.zeros(1, 3, dtype=torch.long))

    def test_other_models_have_not_read_the_text(self, run, finished_run):
        ensemble = {"name": "ensemble", "runs": [str(finished_run)]}
        decoder = run.decoder({"name": "greedy", "constraints": [ensemble]})
        assert run.continuations(["the "], decoder, 3)
        with pytest.raises(ValueError, match="models of other runs have not read the text"):
            run.after(run.state("the cat")).continuations(["the "], decoder, 3)

    def test_a_text_that_is_no_prompt(self, run_once):
        lines = seqgen.load(run_once("data={name: lines, path: HERE/text.txt, split: [1, 0, 0]}"))
        with pytest.raises(ValueError, match="has a line break in it"):
            lines.state("the cat\nsat")


class TestBlending:
    def test_numbers_are_mixed(self, run):
        one, other = run.state(TEXT), run.state("saw dogs ")
        for weight in (0, 0.3, 1):
            mixed = one.blend(other, weight)
            ends = (leaves(each.end) for each in (mixed, one, other))
            for found, first, second in zip(*ends, strict=True):
                torch.testing.assert_close(found, (1 - weight) * first + weight * second)
        assert run.generate("the ", state=mixed, max_length=40)

    def test_nothing_of_the_other_is_the_state_itself(self, run):
        one, other = run.state(TEXT), run.state("saw dogs ")
        for weight, wanted in ((0, one), (1, other)):
            mixed = one.blend(other, weight)
            for more in ("", "the c"):
                given = run.generate(more, state=wanted, max_length=40, temperature=0)
                assert run.generate(more, state=mixed, max_length=40, temperature=0) == given

    @pytest.mark.parametrize("weight", [-0.1, 1.5, float("nan"), float("inf")])
    def test_a_weight_is_a_share(self, weight, run):
        with pytest.raises(ValueError, match="`weight` must be from 0 to 1"):
            run.state("the cat").blend(run.state("a cat"), weight)

    def test_what_is_no_float_must_agree(self, run):
        with pytest.raises(ValueError, match="end in the same token, but the two end in"):
            run.state("the cat").blend(run.state("the car"), 0.5)
        one = run.state("the cat")
        counting = [replace(one, end=(one.end, torch.tensor([[n]]))) for n in (1, 2)]
        assert counting[0].blend(counting[0], 0.5).end[1] == 1
        with pytest.raises(ValueError, match="must agree in what is no float"):
            counting[0].blend(counting[1], 0.5)


class TestFiles:
    @pytest.fixture
    def path(self, run, tmp_path):
        run.state("the cat sat").save(tmp_path / "state")
        return tmp_path / "state"

    def test_no_byte_is_believed(self, run, path):
        """A file in which a bit has flipped is refused, unless it says the same (a space of its
        header)."""
        content, whole, said = path.read_bytes(), run.load_state(path), []
        for place in range(len(content)):
            changed = bytes([content[place] ^ 4])
            path.write_bytes(content[:place] + changed + content[place + 1 :])
            try:
                assert same(run.load_state(path).end, whole.end), place
            except CheckpointError as error:
                said.append(str(error))
        assert len(said) > len(content) - 8
        assert not any("\n" in each for each in said)

    @pytest.mark.parametrize("size", [0, 5, 100, -1])
    def test_one_that_was_cut_short(self, size, run, path):
        path.write_bytes(path.read_bytes()[:size])
        with pytest.raises(CheckpointError, match="state: damaged"):
            run.load_state(path)

    @pytest.mark.parametrize(
        "content", [b"[" * 100_000, b"\x02" + bytes(7) + b"[]", b"\x02" + bytes(7) + b"{}", b"text"]
    )
    def test_what_is_none(self, content, run, path):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="state: damaged, or no state of a text"):
            run.load_state(path)

    def test_another_version(self, run, path):
        content = path.read_bytes()
        size = int.from_bytes(content[:8], "little")
        record = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["state"])
        record["format"] = "2"
        path.write_bytes(save(load(content), {"state": json.dumps(record)}))
        with pytest.raises(CheckpointError, match="state: the format is '2', not '1'"):
            run.load_state(path)

    def test_what_is_missing(self, run, tmp_path):
        with pytest.raises(CheckpointError, match="cannot be read: No such file"):
            run.load_state(tmp_path / "nothing")


def test_a_state_is_shown_in_a_line(run):
    assert repr(run.state("a cat")) == "TextState(context='a cat', begun=False)"


def test_a_state_is_a_value(run):
    """Going on from it changes nothing in it."""
    state = run.state(TEXT)
    before = [each.clone() for each in leaves((state.end, state.part, state.pending))]
    texts = {run.generate("the ", state=state, max_length=30) for _ in range(3)}
    assert len(texts) == 1
    assert all(map(torch.equal, leaves((state.end, state.part, state.pending)), before))
    assert isinstance(state, TextState)
