"""The kind `text`: streams of epochs, windows of training, exact held-out lanes, and parts."""

import hashlib
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqgen.data import TextSize, data
from seqgen.data.batches import Epochs
from seqgen.data.text import SHORTEST_LANE, WINDOW, Lanes, RandomWindows, StreamSplit, resized
from seqgen.errors import DataError
from seqgen.tokenizers import BOS, UNK, CharTokenizer, WordTokenizer

SIZE = TextSize(100, 250)
KINDS = pytest.mark.parametrize("kind", [Lanes, RandomWindows])


def test_a_stream_is_trimmed_or_begins_again():
    assert resized(torch.arange(2) + 10, 5).tolist() == [10, 11, 10, 11, 10]
    assert resized(torch.arange(6) + 10, 5).tolist() == [10, 11, 12, 13, 14]


def build(kind, tokens, rows, window, seed=0):
    stream = tokens if isinstance(tokens, Epochs) else Epochs(torch.arange(tokens + 1))
    return kind(stream, SIZE, rows=rows, window=window, seed=seed)


sizes = st.tuples(st.integers(1, 6), st.integers(1, 7), st.integers(0, 60), st.integers(0, 9))


class TestLanes:
    def test_the_example_of_the_documentation(self):
        def letters(tokens):
            return ["".join(chr(97 + token) for token in row) for row in tokens.tolist()]

        made = build(Lanes, 14, 2, 3)
        assert made.steps_per_epoch == 2
        wanted = [(["abc", "ghi"], ["bcd", "hij"]), (["def", "jkl"], ["efg", "klm"])]
        for step, expected in enumerate(wanted):
            batch = made.batch(step)
            assert (letters(batch.inputs), letters(batch.targets)) == expected
            assert batch.lengths is None

    @given(sizes, st.integers(0, 3))
    def test_lanes_adjoin_windows_are_full_and_the_state_is_carried(self, size, epoch):
        rows, window, more, seed = size
        made = build(Lanes, rows * window + window - 1 + more, rows, window, seed)
        steps = made.steps_per_epoch
        batches = [made.batch(step) for step in range(epoch * steps, (epoch + 1) * steps)]
        assert [batch.continues for batch in batches] == [False, *[True] * (steps - 1)]
        shapes = [tuple(batch.inputs.shape) for batch in batches]
        assert shapes[:-1] == [(rows, window)] * (steps - 1)
        assert 0 < shapes[-1][1] <= window
        inputs = torch.cat([batch.inputs for batch in batches], 1)
        targets = torch.cat([batch.targets for batch in batches], 1)
        assert torch.equal(targets, inputs + 1)
        first, last = int(inputs[0, 0]), int(targets[-1, -1])
        assert inputs.flatten().tolist() == list(range(first, last))
        assert 0 <= first < window
        assert last <= made.tokens
        assert made.tokens - (last - first) < rows + window - 1

    def test_epochs_begin_at_offsets_of_the_seed(self):
        offsets = {}
        for seed in (1, 2):
            made = build(Lanes, 999, 4, 16, seed)
            firsts = [made.batch(epoch * made.steps_per_epoch) for epoch in range(300)]
            offsets[seed] = [int(each.inputs[0, 0]) for each in firsts]
        assert offsets[1][0] == offsets[2][0] == 0
        assert offsets[1] != offsets[2]
        assert set(offsets[1]) == set(offsets[2]) == set(range(16))


class TestRandomWindows:
    @given(sizes)
    def test_windows_lie_inside_and_targets_follow(self, size):
        rows, window, more, seed = size
        made = build(RandomWindows, window + more, rows, window, seed)
        for step in range(5):
            batch = made.batch(step)
            assert batch.inputs.shape == (rows, window)
            assert torch.equal(batch.targets, batch.inputs + 1)
            assert torch.equal(batch.inputs[:, :1] + torch.arange(window), batch.inputs)
            assert 0 <= int(batch.inputs.min()) < int(batch.targets.max()) <= made.tokens
            assert not batch.continues
            assert batch.lengths is None

    def test_all_places_are_drawn_by_the_seed(self):
        made = [build(RandomWindows, 30, 8, 10, seed) for seed in (3, 4)]
        starts = {int(row[0]) for step in range(60) for row in made[0].batch(step).inputs}
        assert starts == set(range(21))
        assert not torch.equal(made[0].batch(0).inputs, made[1].batch(0).inputs)

    def test_an_epoch_is_as_many_tokens_as_there_are(self):
        made = build(RandomWindows, 1000, 8, 10)
        assert (made.tokens, made.steps_per_epoch) == (1000, 13)


@KINDS
class TestBoth:
    def test_they_say_what_they_hold(self, kind):
        made = build(kind, 100, 2, 3)
        assert (made.tokens, made.size) == (100, SIZE)
        stream = Epochs(torch.tensor([1, 4, 6, 4, 4, 5, 6, 4, 4]))  # the first one is not counted
        assert build(kind, stream, 1, 2).counts()["text"].tolist() == [0, 0, 0, 0, 5, 1, 2]

    def test_a_batch_is_a_function_of_its_step(self, kind):
        """Whatever was read before, and in another process: so a resumed run reads the same."""
        first, second = (build(kind, 499, 3, 8, seed=5) for _ in range(2))
        forwards = [first.batch(step) for step in range(70)]
        for step in (69, 3, 3, 0, 42):
            again = second.batch(step)
            assert torch.equal(again.inputs, forwards[step].inputs)
            assert torch.equal(again.targets, forwards[step].targets)
            assert again.continues == forwards[step].continues
        assert not torch.equal(forwards[0].inputs, forwards[1].inputs)

    def test_epochs_may_read_other_streams(self, kind):
        def draw(epoch):
            return torch.arange(41) + 100 * epoch

        epochs = Epochs(draw(0), draw)
        made = build(kind, epochs, 2, 4, seed=1)
        for step in (0, 17, 3, 11, 2 * made.steps_per_epoch - 1, 12):
            batch = made.batch(step)
            assert (batch.inputs // 100).unique().tolist() == [step // made.steps_per_epoch]
            assert torch.equal(batch.targets, batch.inputs + 1)
            again = build(kind, epochs, 2, 4, seed=1).batch(step)
            assert torch.equal(batch.inputs, again.inputs)


class Visits:
    """A visit of a model whose state is a sum over what it has read, times `keep` each step.

    `keep` 0 remembers the last token only, 1 remembers all for ever. The result of a visit is the
    inputs, the targets and the state before.
    """

    def __init__(self, keep):
        self.keep = keep
        self.batches = []

    def initial_state(self, rows):
        return torch.zeros(rows, dtype=torch.float64)

    def visit(self, batch, state):
        self.batches.append(batch)
        result = batch.inputs, batch.targets, state
        for x in batch.inputs.unbind(1):
            state = self.keep * state + x
        return result, state


def split(tokens):
    return StreamSplit(torch.arange(tokens + 1), SIZE, 0)


class TestHeldOut:
    """Each target once, from its true state, however many lanes are read."""

    LENGTHS = [1, 2, WINDOW, 511, 512, 1024, 1025, 3 * SHORTEST_LANE + 3]

    @pytest.mark.parametrize("tokens", LENGTHS)
    @pytest.mark.parametrize("rows", [1, 2, 3, 32])
    @pytest.mark.parametrize("keep", [0.0, 0.5, 1.0])
    def test_each_target_once_from_the_state_that_is_true_there(self, tokens, rows, keep):
        visits = Visits(keep)
        results = split(tokens).walk(visits.visit, visits.initial_state, rows)
        true = [0.0]
        for t in range(tokens):
            true.append(keep * true[t] + t)
        true, seen = torch.tensor(true, dtype=torch.float64), []
        for inputs, targets, before in results:
            assert torch.equal(targets, inputs + 1)
            assert torch.equal(inputs, inputs[:, :1] + torch.arange(inputs.shape[1]))
            torch.testing.assert_close(before, true[inputs[:, 0]], rtol=1e-6, atol=1e-6)
            seen += targets.flatten().tolist()
        assert sorted(seen) == list(range(1, tokens + 1))

    @pytest.mark.parametrize("rows", [1, 2, 9, 1000])
    def test_visits_are_bounded_in_rows_and_in_time(self, rows):
        visits = Visits(0.5)
        split(5000).walk(visits.visit, visits.initial_state, rows)
        shapes = [each.inputs.shape for each in visits.batches]
        assert max(shape[0] for shape in shapes) == min(rows, 5000 // SHORTEST_LANE)
        assert max(shape[1] for shape in shapes) <= WINDOW
        assert all(each.continues and each.lengths is None for each in visits.batches)

    @pytest.mark.parametrize(("keep", "passes"), [(0.0, 1), (0.5, 1), (1.0, 8), (float("nan"), 8)])
    def test_a_state_that_forgets_is_read_once_and_another_as_often_as_needed(self, keep, passes):
        """Besides the guess, which reads one window of each lane. A state of NaN ends, too."""
        visits = Visits(keep)
        results = split(8 * 1024).walk(visits.visit, visits.initial_state, 8)
        assert len(visits.batches) == 1 + passes * 1024 // WINDOW
        targets = torch.cat([each.flatten() for _, each, _ in results])
        assert sorted(targets.tolist()) == list(range(1, 8 * 1024 + 1))

    def test_a_model_without_a_state_is_read_once(self):
        calls = []

        def visit(batch, state):
            calls.append(batch)
            assert state is None
            return batch.targets, None

        results = split(1500).walk(visit, lambda rows: None, 2)
        assert sorted(torch.cat([each.flatten() for each in results])) == list(range(1, 1501))
        assert len(calls) == 1 + 3

    def test_states_of_several_tensors_and_integers(self):
        def visit(batch, state):
            count, (last, none) = state
            assert none is None
            assert torch.equal(last + 1, batch.inputs[:, 0])
            assert count.dtype == torch.long
            return count, (count + batch.inputs.shape[1], (batch.inputs[:, -1], None))

        def initial_state(rows):
            return torch.zeros(rows, dtype=torch.long), (torch.full((rows,), -1), None)

        guessed = []

        def forgiving(batch, state):
            """The guess begins in the middle of a lane, with a state from nowhere; look behind."""
            if len(guessed) < 1:
                guessed.append(batch)
                state = state[0], (batch.inputs[:, 0] - 1, None)
            elif not torch.equal(state[0], batch.inputs[:, 0]):
                return None, (state[0] + batch.inputs.shape[1], (batch.inputs[:, -1], None))
            return visit(batch, state)

        results = split(2 * 600 + 1).walk(forgiving, initial_state, 2)
        assert [each.tolist() for each in results] == [[0, 600], [256, 856], [512, 1112], [1200]]

    def test_it_says_what_it_holds(self):
        made = StreamSplit(torch.tensor([1, 4, 3, 3]), TextSize(3, 7), 2)
        assert (made.tokens, made.size, made.unknown) == (3, TextSize(3, 7), 2)


LETTERS = "".join(chr(0x4E00 + i) for i in range(3000))  # each character tells its own position


@pytest.fixture
def make(tmp_path):
    """A function from a text (or bytes) and options to data, by way of a file."""

    def build(text, **options):
        path = tmp_path / "text.txt"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        spec = {"name": "text", "path": str(path), "batch_size": 2, "window": 4, **options}
        return data.build(spec, seed=1)

    return build


def of(alphabet):
    return {"text": CharTokenizer(alphabet=alphabet)}


def training_text(made):
    [train] = made.training_texts()["text"]
    return train


class TestSplit:
    @pytest.mark.parametrize("count", [30, 31, 99, 190, 1000, 1003, 2990])
    @pytest.mark.parametrize("split", [[0.9, 0.05, 0.05], [0.7, 0.2, 0.1], [0.8, 0.1, 0.1]])
    def test_parts_follow_one_another_at_exact_places(self, make, count, split):
        made = make(LETTERS[:count], split=split)
        shares = [Fraction(str(share)) for share in split]
        ends = [0, *(int(count * sum(shares[: i + 1])) for i in range(3))]
        assert training_text(made) == LETTERS[: ends[1]]
        dataset = made.encode(of(LETTERS))
        parts = [dataset.train, dataset.valid, dataset.test]
        assert [part.tokens for part in parts] == [ends[i + 1] - ends[i] for i in range(3)]
        assert [part.size.bytes for part in parts] == [3 * part.size.chars for part in parts]
        assert sum(part.size.chars for part in parts) == count

    @pytest.mark.parametrize(
        ("text", "split", "valid", "test"),
        [
            (LETTERS[:100], [0.8, 0.1, 0.1], range(4 + 79, 4 + 90), range(4 + 89, 104)),
            (LETTERS[:100], [0.9, 0, 0.1], None, range(4 + 89, 104)),
            ("abc", [0.1, 0.4, 0.5], [BOS, 4], [4, 5, 6]),  # nothing is before
            (LETTERS[:100], [0.5, 0.25, 0], range(4 + 49, 4 + 75), None),
        ],
    )
    def test_held_out_parts_begin_after_the_last_token_before_them(
        self, make, text, split, valid, test
    ):
        made = make(text, split=split)
        for name, wanted in (("valid", valid), ("test", test)):
            part = made.held_out(name, of(text))
            assert (part and part.stream.tolist()) == (wanted and [*wanted])

    def test_the_tokenizer_learns_from_the_training_part_alone(self, make, fit):
        made = make(LETTERS[:100], split=[0.8, 0.1, 0.1])
        dataset = made.encode(fit(made))
        assert len(dataset.train.counts()["text"]) == 84
        assert not dataset.train.counts()["text"][UNK]
        assert (dataset.valid.unknown, dataset.test.unknown) == (10, 10)


class TestTooLittle:
    @pytest.mark.parametrize("text", ["", " ", "\n\n", b"\xef\xbb\xbf\r\n\t"])
    def test_a_blank_text_is_refused(self, make, text):
        made = make(text)
        for ask in (made.training_texts, lambda: made.encode(of("ab"))):
            with pytest.raises(DataError, match=r"text\.txt: no text in it \(\d characters\)"):
                ask()

    @pytest.mark.parametrize(("windows", "needed"), [("lanes", 3 * 8 + 8), ("random", 8 + 1)])
    def test_the_minimum_is_named_and_suffices(self, make, said, windows, needed):
        options = {"windows": windows, "batch_size": 3, "window": 8, "split": [1, 0, 0]}
        for count in (1, needed - 1):
            message = said(make("a" * count, **options).encode, of("a"))
            assert message.endswith(
                f"text.txt: {count} training tokens are too few: batch_size 3 and window 8 "
                f"need at least {needed}"
            )
        train = make("a" * needed, **options).encode(of("a")).train
        assert train.batch(0).inputs.shape == (3, 8)
        steps = range(3 * train.steps_per_epoch)
        assert all(train.batch(step).inputs.shape[1] > 0 for step in steps)

    def test_a_part_without_tokens_is_refused(self, make, said, fit):
        made = make("a b c d " * 20 + " " * 40)
        known = fit(made, text=WordTokenizer())
        message = said(made.held_out, "test", known)
        assert message.endswith("text.txt: the test part has no tokens (20 characters)")


class TestPartsOfTheirOwn:
    TEXTS = {"train": "abc\n" * 20, "valid": "cab\n", "test": "bca\nb"}
    NAMED = {part: f"parts/{part}.txt" for part in TEXTS}

    @pytest.fixture
    def folder(self, place):
        for part, text in self.TEXTS.items():
            place.write(self.NAMED[part], text)
        return place.folder / "parts"

    def parts(self, **options):
        made = data.build({"name": "text", "batch_size": 2, "window": 4, **options}, seed=1)
        known = of("\nabcxyz")
        dataset = made.encode(known)
        texts = [
            None if each is None else known["text"].decode(each.stream[1:].tolist())
            for each in (dataset.valid, dataset.test)
        ]
        return made, [training_text(made), *texts]

    @pytest.mark.parametrize(
        "options",
        [
            {"path": "parts"},
            {"path": "parts", "valid": "valid.txt"},
            NAMED,
            {"path": "parts", "train": "tr*.txt", "test": ["test.txt"]},
        ],
    )
    def test_each_has_its_files_and_begins_anew(self, folder, options):
        made, texts = self.parts(**options)
        assert texts == [*self.TEXTS.values()]
        assert {*made.fingerprint()} == {*self.NAMED.values()}
        assert made.remarks() == ()
        assert made.held_out("test", of("\nabc")).stream[0] == BOS

    def test_several_are_read_one_after_the_other(self, place):
        for number, text in (("10", "c" * 9), ("2", "\ufeffb\n"), ("1", "a")):
            place.write(f"more/sub/{number}.txt", text)
        options = {"split": [1, 0, 0], "batch_size": 1, "window": 2}
        made, texts = self.parts(path="more/**/*.txt", **options)
        assert texts == ["a\n" + "c" * 9 + "\nb\n", None, None]
        assert [*made.fingerprint()] == [f"more/sub/{n}.txt" for n in ("1", "10", "2")]
        made, texts = self.parts(train=["more/sub/2.txt", "more/sub/10.txt"], **options)
        assert texts[0] == "b\n" + "c" * 9

    def test_what_is_odd_is_remarked(self, folder, place):
        place.write("parts/blank.txt", " \n\n")
        made, texts = self.parts(path="parts", valid="blank.txt", test="train.txt")
        assert texts[1:] == [None, self.TEXTS["train"]]
        assert made.remarks() == (
            "parts/train.txt: of the test part, the same as parts/train.txt of train",
            "parts/blank.txt: no text for the valid part, so there is none",
        )
        (folder / "test.txt").unlink()
        made, texts = self.parts(path="parts")
        assert texts[2] is None
        assert made.remarks() == ("parts/test.txt: not there, so there is no such part",)

    def test_a_share_that_is_empty_is_remarked(self, make):
        made = make("ab" * 15, split=[0.98, 0.01, 0.01])
        assert made.encode(of("ab")).valid is None
        [remark] = made.remarks()
        assert remark.endswith("no text for the valid part, so there is none")
        assert make(LETTERS[:100], split=[1, 0, 0]).remarks() == ()

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"path": "none/*.txt"}, r"none/\*\.txt: no file fits this pattern"),
            ({"path": "."}, r"\.: has no train\.txt; data\.train=NAME says what is read"),
            ({"path": "parts", "train": "blank.txt"}, "blank.txt: no text in it"),
            ({"path": "two"}, r"two: has dev\.txt and valid\.txt; data\.valid=NAME says which"),
        ],
    )
    def test_what_cannot_be_read_is_refused(self, folder, place, options, message):
        place.write("parts/blank.txt", "\n")
        for name in ("train", "dev", "valid"):
            place.write(f"two/{name}.txt", "a")
        with pytest.raises(DataError, match=message):
            self.parts(**options)


@pytest.mark.parametrize("windows", ["lanes", "random"])
def test_a_tokenizer_that_samples_reads_each_epoch_anew(make, doubling, windows):
    sampled = {"text": doubling(alphabet=LETTERS)}
    makes = [make(LETTERS[:400], windows=windows) for _ in range(2)]
    made, again = (each.encode(sampled).train for each in makes)
    assert made.tokens in {320, 640}
    kinds = set()
    for epoch in range(12):
        step = epoch * made.steps_per_epoch + 1
        batch = made.batch(step)
        assert batch.continues == (windows == "lanes")
        kinds.add(bool((batch.inputs[:, 1:] == batch.inputs[:, :-1]).any()))
    assert kinds == {False, True}
    assert torch.equal(again.batch(step).inputs, batch.inputs)
    assert makes[0].encode(sampled).valid.tokens == 40


def test_a_corpus_is_read_unless_there_is_a_path(make):
    [(name, digest)] = make(b"\xef\xbb\xbfabc\r\n" * 20).fingerprint().items()
    assert name.endswith("text.txt")
    assert digest == hashlib.sha256(b"\xef\xbb\xbfabc\r\n" * 20).hexdigest()
    made = data.build({"name": "text", "corpus": "unicode_names"}, seed=1)
    assert list(made.fingerprint()) == ["unicode_names"]
    assert training_text(made).startswith("SPACE\nEXCLAMATION MARK\n")
    made = make(LETTERS[:100], corpus="unicode_names")
    assert training_text(made) == LETTERS[:80]


def test_prompts_are_texts_as_they_are(make):
    made = make(LETTERS[:100])
    prompts = made.prompts(["ba", "", "abxb"], of("ab"))
    assert prompts.tokens.tolist() == [[5, 4, 0, 0], [BOS, 0, 0, 0], [4, 5, UNK, 5]]
    assert prompts.lengths.tolist() == [2, 1, 4]
    assert not made.ends
    prompts = made.prompts([], of("ab"))
    assert prompts.tokens.shape[0] == prompts.lengths.shape[0] == 0


@pytest.mark.parametrize(
    ("prompt_size", "length", "share", "passages"),
    [
        # Of the last 10 of 30 characters; what is left over goes between.
        (1, 2, 1 / 3, [("0", "12"), ("3", "45"), ("6", "78")]),
        (2, 2, 1 / 3, [("01", "23"), ("56", "78")]),
        (0, 5, 1 / 3, [("", "01234"), ("", "56789")]),
        (6, 5, 1 / 3, []),
        (None, 1, 1 / 3, []),  # the usual prompt is too long
        (1, 1, 0, []),
    ],
)
def test_passages_are_evenly_spread(make, prompt_size, length, share, passages):
    text = "abcdefghijklmnopqrst0123456789"
    found = make(text, split=(2 / 3, 0, share)).passages("test", of(text), prompt_size, length)
    assert [(each.source, *each.references) for each in found] == passages
