"""What `--n-best` makes of decoders that find several sequences, each in its way."""

import io
import json
import os
import pty
import sys

import pytest

from seqgen.cli import generation, source_lines
from seqgen.cli.generation import DecoderOptions
from seqgen.decoders import decoders
from seqgen.errors import RecipeError, UsageError
from seqgen.trained import TrainedRun


@pytest.fixture(scope="module")
def trained(pairs_run):
    return TrainedRun.load(pairs_run)


@pytest.mark.parametrize(
    ("name", "settings", "n_best", "sizes"),
    [
        ("beam", [], None, (5, 1)),
        ("beam", [], 3, (5, 3)),
        ("beam", [], 9, (9, 9)),
        ("beam", ["beam_size=12"], 9, (12, 9)),
        ("beam", ["n_best=2"], 4, (5, 4)),
        ("diverse_beam", [], 9, (9, 9)),
    ],
)
def test_a_beam_becomes_wide_enough(trained, name, settings, n_best, sizes):
    made = DecoderOptions(name, settings, None, n_best).build(trained)
    assert (made.beam_size, made.n_best) == sizes


@pytest.mark.parametrize(
    ("name", "settings", "found"),
    [
        ("beam", [], 3),
        ("stochastic_beam", [], 3),
        ("stochastic_beam", ["beam_size=4"], 4),
        ("exact", [], 3),
        ("minimum_bayes_risk", ["samples=16"], 3),
    ],
)
def test_so_many_are_found(trained, name, settings, found):
    made = DecoderOptions(name, settings, 1, 3).build(trained)
    [outputs] = trained.continuations(["ab"], made)
    assert len(outputs) == found


@pytest.mark.parametrize("name", ["greedy", "multinomial", "top_k"])
def test_one_is_what_every_decoder_finds(trained, name):
    assert DecoderOptions(name, ["k=2"] if name == "top_k" else [], None, 1).build(trained)
    with pytest.raises(UsageError, match=rf"--n-best 2: the decoder '{name}' finds one sequence"):
        DecoderOptions(name, [], None, 2).build(trained)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("beam", ["beam_size=2"], None, 3), "--n-best 3: `n_best` must be from 1 to `beam_size`"),
        (("minimum_bayes_risk", [], None, 99), "--n-best 99: `n_best` must be from 1 to `samples`"),
        (("diverse_beam", [], None, 7), "--decoder diverse_beam: "),
        (("beem", [], None, 3), "--decoder beem: no decoder named 'beem'"),
        (("beam", ["beam_size=x"], None, 3), "--set beam_size=x: beam_size: "),
        (("beam", ["alpha=x"], None, 3), "--set alpha=x: alpha: "),
    ],
)
def test_what_is_wrong_is_named(trained, options, line):
    with pytest.raises(RecipeError) as caught:
        DecoderOptions(*options).build(trained)
    assert str(caught.value).startswith(line)


# Lines in, lines out: files, standard input, and who sits at a terminal.


@pytest.fixture
def answers(command, pairs_run, place):
    """A function from lines to the lines that a command makes of them, which must work."""

    def call(lines, *words, err=""):
        place.write("in.txt", "".join(f"{line}\n" for line in lines))
        ended = command("generate", pairs_run, "--input", "in.txt", *words)
        assert (ended.code, ended.err) == (0, err)
        return ended.out.splitlines()

    return call


class TestAFile:
    def test_ten_thousand_lines_in_their_order(self, answers, few_words, place):
        words = sorted(set(few_words(40)))
        of_each = dict(zip(words, answers(words), strict=True))
        assert len(set(of_each.values())) > 20
        lines = [words[i * i % len(words)] for i in range(10_000)]
        assert answers(lines, "--output", "out.txt", "evaluation.batch_size=500") == []
        out = (place.folder / "out.txt").read_text()
        assert out == "".join(f"{of_each[line]}\n" for line in lines)
        assert not (place.folder / "out.txt.part").exists()

    @pytest.mark.parametrize("decoder", ["greedy", "beam", "multinomial"])
    def test_lines_do_not_depend_on_those_beside_them(
        self, answers, few_words, decoder, monkeypatch
    ):
        words = few_words(40)
        sizes = [f"evaluation.batch_size={size}" for size in (1, 7, 64)]
        found = [answers(words, "--decoder", decoder, size) for size in sizes]
        assert found[0] == found[1] == found[2]
        monkeypatch.setattr(generation, "LINES_AT_ONCE", 11)
        assert answers(words, "--decoder", decoder) == found[0]

    def test_line_ends(self, command, pairs_run, place):
        plain = place.write("plain.txt", "ab\nc\ndea\n")
        odd = place.write("odd.txt", b"\xef\xbb\xbfab\r\nc\rdea")
        assert command("generate", pairs_run, "--input", odd) == command(
            "generate", pairs_run, "--input", plain
        )

    def test_no_lines(self, answers, place):
        assert answers([], "--output", "out.txt") == []
        assert (place.folder / "out.txt").read_bytes() == b""

    def test_a_prompt_goes_on_in_its_line(self, command, finished_run, place):
        place.write("in.txt", "the \n\ncat")
        ended = command("generate", finished_run, "--input", "in.txt", "--max-length", 5)
        [first, second, third] = ended.out.splitlines()
        assert (len(first), len(second), len(third)) == (9, 5, 8)
        assert (first[:4], third[:3]) == ("the ", "cat")

    def test_what_is_unknown_is_counted(self, answers):
        warning = (
            "warning: 3 tokens of the sources are unknown to the model (2 different: 'x', 'ü')\n"
        )
        assert len(answers(["ax", "b", "xü"], err=warning)) == 3

    def test_a_search_that_gives_up_says_so(self, answers):
        warning = "warning: the search's budget ran out: 1 of 1 texts are the best found so far\n"
        exact = ("--decoder", "exact", "--set", "max_nodes=1", "--set", "nodes_at_once=1")
        assert len(answers(["abcde"], *exact, err=warning)) == 1

    def test_what_cannot_satisfy_all_constraints_is_counted(self, answers):
        warning = "warning: 2 of 2 texts do not satisfy all constraints; they end where nothing "
        nothing = "constraints=[{name: forbid, texts: [A, B, C]}, {name: allowed, texts: [AB]}]"
        warning += "else was possible\n"
        assert answers(["abc", "b"], "--set", nothing, err=warning) == ["", ""]

    def test_progress_at_a_terminal(self, answers, monkeypatch):
        monkeypatch.setattr(generation, "LINES_AT_ONCE", 2)
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        shown = "\r2 of 3 lines\r3 of 3 lines\n"
        answers(["a", "b", "c"], "--output", "out.txt", err=shown)


class TestEmptyLines:
    def test_dropped_ones_are_answered_with_an_empty_line(self, answers):
        [first, second, third, fourth] = answers(["abc", "", " ", "d"], "data.empty=drop")
        assert (second, third) == ("", "")
        assert [first, fourth] == answers(["abc", "d"])

    def test_in_json_they_have_no_outputs(self, answers):
        found = [json.loads(line) for line in answers(["", "a"], "data.empty=drop", "--json")]
        assert [len(each["outputs"]) for each in found] == [0, 1]

    def test_kept_ones_are_asked(self, answers):
        [line] = answers([""], "data.empty=keep", "--json")
        [output] = json.loads(line)["outputs"]
        assert len(output["tokens"]) >= 1

    def test_by_default_they_are_an_error(self, refusal, pairs_run, place):
        place.write("in.txt", "ab\n\nc\n")
        line = refusal(4, "generate", pairs_run, "--input", "in.txt", "--output", "out.txt")
        assert line.startswith("in.txt:2: the source is empty (data.empty=drop ")


class TestSeveralOutputs:
    def test_a_table_of_the_best(self, answers):
        rows = [line.split("\t") for line in answers(["abc", "d"], *BEAM, "--n-best", 3)]
        assert [row[:2] for row in rows] == [[n, rank] for n in "12" for rank in "123"]
        scores = [float(row[2]) for row in rows]
        assert scores[:3] == sorted(scores[:3], reverse=True)
        best = answers(["abc", "d"], *BEAM)
        assert [rows[0][3], rows[3][3]] == best
        assert len({row[3] for row in rows[:3]}) == 3

    def test_one_of_them(self, answers):
        [row] = [line.split("\t") for line in answers(["abc"], "--n-best", 1)]
        assert [row[0], row[1], row[3]] == ["1", "1", *answers(["abc"])]

    def test_samples(self, answers):
        drawn = ("--decoder", "multinomial", "--samples", 3)
        rows = [line.split("\t") for line in answers(["abc", "d"], *drawn)]
        assert [row[:2] for row in rows] == [[n, rank] for n in "12" for rank in "123"]

    def test_json_has_all_of_each_source(self, answers):
        lines = answers(["abc", "d"], *BEAM, "--n-best", 2, "--json")
        first, second = map(json.loads, lines)
        assert set(first) == {"number", "source", "outputs"}
        assert (second["number"], second["source"]) == (2, "d")
        assert [len(first["outputs"]), len(second["outputs"])] == [2, 2]
        best = first["outputs"][0]
        assert best["text"] == "".join(best["pieces"][:-1])
        assert best["score"] == pytest.approx(sum(best["log_probs"]))
        assert best["finished"]


BEAM = ("--decoder", "beam", "--set", "beam_size=4")


class TestStandardInput:
    def test_without_anything_else_it_is_answered(self, command, pairs_run, answers, type_in):
        type_in(b"\xef\xbb\xbfabc\r\nde\rc")
        ended = command("generate", pairs_run)
        assert ended.out.splitlines() == answers(["abc", "de", "c"])
        type_in("abc\nde\nc\n")
        assert command("generate", pairs_run, "--input", "-").out == ended.out

    def test_random_outputs_are_those_of_a_file(self, command, pairs_run, answers, type_in):
        drawn = ("data.empty=drop", "--decoder", "multinomial", "--seed", 5)
        type_in("abc\n\nabc\nabc\n")
        lines = command("generate", pairs_run, *drawn).out.splitlines()
        assert lines == answers(["abc", "", "abc", "abc"], *drawn)
        assert len({*lines}) > 2

    def test_to_a_file(self, command, pairs_run, type_in, place):
        type_in("abc\n")
        assert command("generate", pairs_run, "--output", "out.txt").out == ""
        assert (place.folder / "out.txt").read_text().count("\n") == 1

    def test_the_lines_before_a_wrong_one_are_answered(self, command, pairs_run, type_in):
        type_in(b"abc\nd\te\nc\n")
        ended = command("generate", pairs_run)
        assert (ended.code, ended.out.count("\n")) == (4, 1)
        assert ended.err.startswith("standard input:2: ")
        type_in(b"abc\nde\xff\nc\n")
        ended = command("generate", pairs_run)
        assert (ended.code, ended.out.count("\n")) == (4, 1)
        assert ended.err == "standard input:2: invalid UTF-8 at byte 2 of the line\n"

    def test_closed(self, refusal, pairs_run, monkeypatch):
        monkeypatch.setattr(sys, "stdin", None)
        assert refusal(4, "generate", pairs_run) == "standard input: closed"

    def test_one_that_cannot_be_read(self, refusal, pairs_run, finished_run, monkeypatch, place):
        with os.fdopen(os.open(place.write("f", ""), os.O_WRONLY)) as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            said = "standard input: cannot be read: Bad file descriptor"
            for words in ([pairs_run], [pairs_run, "--input", "-"], [finished_run]):
                assert refusal(4, "generate", *words) == said

    def test_at_a_terminal(self, command, pairs_run, monkeypatch):
        """Who types is told what to do, and goes on after a line that is wrong."""
        master, slave = pty.openpty()
        os.write(master, b"ab\nc\td\n\x04")
        with os.fdopen(slave) as terminal:
            monkeypatch.setattr(sys, "stdin", terminal)
            ended = command("generate", pairs_run)
        os.close(master)
        assert (ended.code, ended.out.count("\n")) == (0, 1)
        first, second, third = ended.err.splitlines()
        assert first == "a source a line; Ctrl-D ends"
        assert second.startswith("> > standard input:2: ")
        assert third == "> "

    def test_each_answer_comes_at_once(self, spawn, pairs_run):
        """And when nobody reads any more, that is the end."""
        process = spawn("generate", pairs_run, stdin=-1)
        for line in ("abc", "d"):
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
            assert process.stdout.readline().endswith("\n")
        process.stdout.close()
        process.stdin.write("abc\nabc\n")
        process.stdin.close()
        process.stdin = process.stdout = None
        assert process.wait(60) == 0
        assert process.stderr.read() == ""


@pytest.fixture
def pipe_in(monkeypatch):
    """A function after which standard input is a pipe that had these bytes and is closed."""
    streams = []

    def put(content):
        reader, writer = os.pipe()
        os.write(writer, content.encode())
        os.close(writer)
        streams.append(os.fdopen(reader))
        monkeypatch.setattr(sys, "stdin", streams[-1])

    yield put
    for each in streams:
        each.close()


@pytest.fixture
def prompted(command, finished_run):
    """A function that generates a few tokens with the language model, which must work."""

    def call(*words, err=""):
        ended = command("generate", finished_run, "--max-length", 6, *words)
        assert (ended.code, ended.err) == (0, err)
        return ended.out

    return call


class TestPromptsOnStandardInput:
    """A language model continues what comes by a pipe or a file, and else the recipe's prompts."""

    def test_a_line_each_in_their_order(self, prompted, pipe_in, place):
        place.write("in.txt", "cat \n\nthe \ncat ")
        of_file = prompted("--input", "in.txt")
        pipe_in("cat \n\nthe \ncat ")
        assert prompted() == of_file
        lines = of_file.splitlines()
        assert [len(line) for line in lines] == [10, 6, 10, 10]
        assert [line[:4] for line in lines if len(line) > 6] == ["cat ", "the ", "cat "]

    def test_one_is_what_the_option_says(self, prompted, pipe_in):
        pipe_in("cat \n")
        assert prompted() == prompted("--prompt", "cat ")

    def test_in_other_forms(self, prompted, pipe_in, place):
        pipe_in("cat \nthe \n")
        sources = [json.loads(line)["source"] for line in prompted("--json").splitlines()]
        assert sources == ["cat ", "the "]
        pipe_in("cat \nthe \n")
        rows = [line.split("\t")[:2] for line in prompted("--samples", 2).splitlines()]
        assert rows == [["1", "1"], ["1", "2"], ["2", "1"], ["2", "2"]]
        pipe_in("cat \n")
        assert prompted("--output", "out.txt") == ""
        assert (place.folder / "out.txt").read_text().startswith("cat ")

    def test_a_file(self, prompted, monkeypatch, place):
        place.write("in.txt", "cat \nthe \n")
        with (place.folder / "in.txt").open() as file:
            monkeypatch.setattr(sys, "stdin", file)
            assert prompted() == prompted("--input", "in.txt")

    def test_where_nothing_comes_the_recipe_says(self, prompted, pipe_in, monkeypatch, place):
        own = prompted("--prompt", "the ")
        pipe_in("")
        assert prompted() == own
        for name in (os.devnull, place.write("empty", "")):
            with open(name) as file:  # noqa: PTH123
                monkeypatch.setattr(sys, "stdin", file)
                assert prompted() == own
        monkeypatch.setattr(sys, "stdin", None)
        assert prompted() == own
        monkeypatch.setattr(sys, "stdin", io.StringIO("cat "))
        assert prompted() == own

    def test_what_is_given_comes_before(self, prompted, pipe_in, place):
        place.write("in.txt", "the ")
        pipe_in("cat \n")
        assert prompted("--prompt", "the ") == prompted("--input", "in.txt")
        assert sys.stdin.read() == "cat \n"

    def test_a_pipe_that_nobody_writes_to_is_waited_for_aloud(self, prompted, monkeypatch, pipe_in):
        class Late(io.TextIOWrapper):
            """Nothing there at first, and then a line."""

            def fileno(self):
                return reader

        reader, writer = os.pipe()
        monkeypatch.setattr(source_lines, "WAITING", 0)
        monkeypatch.setattr(sys, "stdin", Late(io.BytesIO(b"cat \n")))
        said = "reading standard input, a line each; --prompt TEXT or </dev/null if not\n"
        assert prompted(err=said).startswith("cat ")
        os.close(reader)
        os.close(writer)

    def test_someone_types(self, command, finished_run, monkeypatch):
        """At a terminal it is the recipe's prompts, or what is typed if that is wanted."""
        master, slave = pty.openpty()
        os.write(master, b"cat \n\x04")
        with os.fdopen(slave) as terminal:
            monkeypatch.setattr(sys, "stdin", terminal)
            assert command("generate", finished_run).out.startswith("the ")
            ended = command("generate", finished_run, "--input", "-")
        os.close(master)
        assert ended.out.startswith("cat ")
        assert ended.err == "a prompt a line; Ctrl-D ends\n> > \n"

    def test_a_person_sees_the_line_breaks(self, command, place, pipe_in, train, monkeypatch):
        place.write("text.txt", "ab\n" * 2000)
        folder = train("samples.prompts=['a']", "decoder=greedy", "train.max_steps=60")
        words = ("generate", folder, "--max-length", 5)
        pipe_in("a\na\n")
        assert command(*words).out == "ab\\nab\\n\n" * 2
        pipe_in("a\na\n")
        with monkeypatch.context() as patch:
            patch.setattr(type(sys.stdout), "isatty", lambda stream: True, raising=False)
            assert command(*words).out == "ab\nab\n\n" * 2


def test_control_c_leaves_the_line(command, pairs_run, monkeypatch):
    """So `interrupted` and the shell's prompt stand at the beginning of one."""

    def interrupt():
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(generation, "typed_lines", interrupt)
    master, slave = pty.openpty()
    with os.fdopen(slave) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        ended = command("generate", pairs_run)
    os.close(master)
    assert (ended.code, ended.err) == (130, "a source a line; Ctrl-D ends\n> \ninterrupted\n")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"ab\nc\td\n", "in.txt:2: `text` must be a source, but has 1 tab"),
        (b"ab\nc\xff\n", "in.txt:2: invalid UTF-8 at byte 4"),
        (b"ab\n" + b"c" * 2**20 + b"d", "in.txt:2: the line has 1048577 characters, of which"),
        (b"\xff\xfea\x00", "in.txt: this is UTF-16; save the file as UTF-8"),
    ],
    ids=["tab", "utf-8", "long", "utf-16"],
)
def test_a_wrong_line_is_named_before_any_is_answered(content, line, refusal, pairs_run, place):
    place.write("in.txt", content)
    place.write("out.txt", "as before")
    words = ("--input", "in.txt", "--output", "out.txt")
    assert refusal(4, "generate", pairs_run, *words).startswith(line)


@pytest.mark.parametrize(
    ("code", "words", "part"),
    [
        (2, ["--input", "a", "--prompt", "b"], "--prompt and --input exclude one another"),
        (2, ["--input", "a", "--score", "b"], "--input and --score exclude one another"),
        (2, ["--n-best", "2", "--samples", "2"], "--n-best and --samples exclude one another"),
        (2, ["--prompt", "a", "--output", "b"], "--output goes with --input"),
        (4, ["--input", "nowhere"], "nowhere: cannot be read: No such file"),
        (4, ["--input", "."], ".: this is a directory"),
        (7, ["--input", "text.txt", "--output", "no/out"], "no/out: cannot be written: No such"),
        (7, ["--input", "text.txt", "--output", "."], ".: cannot be written: Is a directory"),
        (2, ["--input", "text.txt", "--n-best", "2"], "'greedy' finds one sequence for a source"),
        (3, ["data.empt=keep"], "did you mean 'empty'"),
        (
            3,
            ["--decoder", "beam", "--set", "beam_size=2", "--n-best", "3"],
            "--n-best 3: `n_best` must be from 1 to `beam_size`, which is 2, but is 3",
        ),
        (
            3,
            ["--input", "text.txt", "--set", "constraints=[{name: forced_prefix, text: '?'}]"],
            "forced_prefix",
        ),
    ],
    ids=str,
)
def test_refusals(refusal, pairs_run, code, words, part, place):
    place.write("text.txt", "ab\n")
    assert part in refusal(code, "generate", pairs_run, *words)


def test_sources_longer_than_any_in_training_are_counted(command, pairs_run, tmp_path):
    lines = tmp_path / "in.txt"
    lines.write_text("abcde\nabcdea\nabcdeabcde\n")  # training has words of up to 5 letters
    ended = command("generate", pairs_run, "--input", lines)
    assert ended.code == 0
    assert ended.out.count("\n") == 3
    assert ended.err == (
        "warning: 2 sources are longer than any in training, which have up to 6 tokens\n"
    )


# Scores of given rows: those that decoders report.


@pytest.fixture
def scored(command, place):
    """A function from a run and rows to what `--score` says of them."""

    def call(run, content, *words):
        place.write("rows.txt", content)
        ended = command("generate", run, "--score", "rows.txt", *words)
        assert (ended.code, ended.err) == (0, "")
        return ended.out.splitlines()

    return call


@pytest.mark.parametrize(
    "decoder", [["greedy"], ["beam", "--n-best", "3"], ["multinomial", "--samples", "2"]], ids=str
)
def test_they_are_what_the_decoder_reports(decoder, command, scored, pairs_run, place, few_words):
    place.write("in.txt", "".join(f"{word}\n" for word in few_words(40, seed=3)))
    words = ("--input", "in.txt", "--json", "--decoder", *decoder)
    answers = [json.loads(line) for line in command("generate", pairs_run, *words).out.splitlines()]
    found = [(each["source"], own) for each in answers for own in each["outputs"]]
    ended = [(source, own) for source, own in found if own["finished"]]
    assert len(ended) > 30
    rows = "".join(f"{source}\t{own['text']}\n" for source, own in ended)
    lines = [json.loads(line) for line in scored(pairs_run, rows, "--json")]
    for number, (line, (_, own)) in enumerate(zip(lines, ended, strict=True), 1):
        assert (line["number"], line["tokens"]) == (number, len(own["tokens"]))
        assert line["score"] == pytest.approx(own["score"], abs=1e-5)
        assert line["log_probs"] == pytest.approx(own["log_probs"], abs=1e-5)


def test_a_line_for_a_row(scored, pairs_run):
    rows = "abcd\tABCD\nabcd\tEEEE\n\tB\nabc\t\n"
    one, two, three, four = (line.split("\t") for line in scored(pairs_run, rows))
    assert [one[1], two[1], three[1], four[1]] == ["5", "5", "2", "1"]
    assert float(one[0]) > float(two[0])
    assert scored(pairs_run, "abcd\tABCD") == ["\t".join(one)]


def test_to_a_file(scored, pairs_run, place):
    assert scored(pairs_run, "a\tA\n", "--output", "out.txt") == []
    assert (place.folder / "out.txt").read_text().endswith("\t2\n")


def test_from_standard_input(scored, command, pairs_run, type_in):
    type_in("a\tA\r\nb\tB")
    ended = command("generate", pairs_run, "--score", "-")
    assert ended.out.splitlines() == scored(pairs_run, "a\tA\nb\tB\n")


def test_unknown_targets_are_counted(command, pairs_run, type_in):
    type_in("a\tx\nb\tXB\n")
    ended = command("generate", pairs_run, "--score", "-")
    assert (ended.code, ended.out.count("\n")) == (0, 2)
    assert ended.err == "warning: 2 tokens of the targets scored as <unk>\n"


def test_lines_without_sources(train, place, scored):
    place.write("names.txt", "the cat\na mat\nfar dogs\n" * 10)
    place.recipe("{name: text, path: text.txt, batch_size: 4, window: 16}", "{name: lines}")
    run = train("data.path=names.txt", "data.split=[0.7,0.3,0]", "samples.prompts=['a']")
    likely, unlikely = (line.split("\t") for line in scored(run, "the cat\ntac eht\n"))
    assert likely[1] == unlikely[1] == "8"
    assert float(likely[0]) > float(unlikely[0])


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("a\tA\nb\n", "rows.txt:2: 1 column instead of 2 (source, target): there is no tab"),
        ("a\tA\tB\n", "rows.txt:1: 3 columns instead of 2"),
        ("", "rows.txt: no rows in it (an empty file)"),
    ],
)
def test_a_wrong_row_is_named(content, line, refusal, pairs_run, place):
    place.write("rows.txt", content)
    assert refusal(4, "generate", pairs_run, "--score", "rows.txt").startswith(line)


def test_a_text_has_no_rows(refusal, finished_run, place):
    place.write("rows.txt", "the cat\n")
    line = refusal(2, "generate", finished_run, "--score", "rows.txt")
    assert line.startswith("--score: this data has no rows of text that could be scored")


# `seqgen generate --trace`: the file beside the outputs, which are the same as without.


@pytest.fixture
def traced(command, place):
    """A function that generates with and without a trace, to the same outputs; the traces."""

    def call(run, *words):
        plain = command("generate", run, *words)
        ended = command("generate", run, *words, "--trace", "trace.json")
        assert plain.code == 0, plain.err
        assert ended == plain
        assert not (place.folder / "trace.json.part").exists()
        return json.loads((place.folder / "trace.json").read_text(encoding="utf-8"))

    return call


@pytest.mark.parametrize("name", decoders.names())
def test_every_decoder_has_a_trace_and_finds_the_same(traced, pairs_run, small, name, place):
    place.write("words.txt", "ab\ncde\nb\n")
    spec = small(decoders, name)
    settings = [
        word
        for key, value in spec.items()
        if key != "name"
        for word in ("--set", f"{key}={json.dumps(value)}")
    ]
    words = ["--decoder", name, *settings, "--seed", 3, "--json"]
    traces = traced(pairs_run, *words, "--input", "words.txt")
    assert [each["input"] for each in traces] == ["ab", "cde", "b"]
    for each in traces:
        assert each["decoder"]["name"] == name
        assert {**each["decoder"], **spec} == each["decoder"]
        assert each["start"] == each["nodes"][0]["token"] == "<bos>"
        assert not each["continues"]
        assert each["outputs"]


def test_the_prompts_of_the_recipe(traced, finished_run):
    [trace] = traced(finished_run, "--max-length", 9)
    assert (trace["input"], trace["start"], trace["continues"]) == ("the ", " ", True)
    assert trace["decoder"]["temperature"] == 0.8
    assert len(trace["nodes"]) == 9
    [output] = trace["outputs"]
    tokens = [node["token"] for node in trace["nodes"][1:]] + [output["last"]]
    assert "".join(tokens) == output["text"]


def test_several_prompts_and_samples(traced, finished_run):
    words = ["--prompt", "a", "--prompt", "the", "--samples", 3, "--max-length", 5]
    traces = traced(finished_run, *words)
    assert [(each["input"], len(each["outputs"])) for each in traces] == [("a", 3), ("the", 3)]


def test_sources_that_are_typed(command, pairs_run, type_in, place):
    type_in("ab\n\nb\n")
    ended = command("generate", pairs_run, "data.empty=drop", "--trace", "trace.json")
    assert ended.code == 0
    assert ended.out.count("\n") == 3
    traces = json.loads((place.folder / "trace.json").read_bytes())
    assert [each["input"] for each in traces] == ["ab", "b"]  # nobody asked about the empty one


def test_no_sources_are_an_empty_list(command, pairs_run, place):
    place.write("none.txt", "")
    words = ["--input", "none.txt", "--trace", "trace.json"]
    assert command("generate", pairs_run, *words).code == 0
    assert json.loads((place.folder / "trace.json").read_bytes()) == []


def test_a_page(command, finished_run, place):
    beam = ["--decoder", "beam", "--set", "beam_size=3"]
    words = ["--prompt", "</p>\x1b", "--max-length", 6, *beam]
    plain = command("generate", finished_run, *words)
    assert command("generate", finished_run, *words, "--trace", "trace.HTML") == plain
    page = (place.folder / "trace.HTML").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert 'class="tree"' in page
    assert "&lt;/p&gt;" in page
    assert "\x1b" not in page


def test_a_page_has_the_first_traces(command, pairs_run, place, monkeypatch):
    monkeypatch.setattr(generation, "MOST_TRACES", 2)
    place.write("words.txt", "ab\ncde\nb\n")
    words = ["--input", "words.txt", "--trace", "trace.html"]
    assert command("generate", pairs_run, *words).code == 0
    page = (place.folder / "trace.html").read_text(encoding="utf-8")
    assert page.count("<section") == 2
    assert "1 more input had no room here." in page


class TestRefusals:
    @pytest.mark.parametrize("path", ["nowhere/trace.json", "folder", "text.txt/x"])
    def test_a_file_that_cannot_be_written(self, refusal, finished_run, place, path):
        place.write("folder/x", "")
        line = refusal(7, "generate", finished_run, "--trace", path)
        assert line.startswith("folder: cannot be" if path == "folder" else "")
        assert "cannot be written" in line
        assert path in line

    def test_standard_output(self, refusal, finished_run):
        line = refusal(2, "generate", finished_run, "--trace", "-")
        assert line == "--trace must be a file: standard output has the outputs"

    def test_scores_have_no_trace(self, refusal, pairs_run):
        words = ["--score", "x", "--trace", "trace.json"]
        assert (
            refusal(2, "generate", pairs_run, *words) == "--trace and --score exclude one another"
        )

    def test_one_file_for_both(self, refusal, pairs_run, place):
        place.write("words.txt", "ab\n")
        words = ["--input", "words.txt", "--output", "out", "--trace", "out"]
        line = refusal(2, "generate", pairs_run, *words)
        assert line == "--trace and --output must be two files"

    def test_a_wrong_line_leaves_nothing(self, refusal, pairs_run, place):
        place.write("words.txt", b"ab\n\xff\n")
        words = ["--input", "words.txt", "--trace", "trace.json"]
        assert refusal(4, "generate", pairs_run, *words)

    @pytest.mark.skipif(os.name != "posix", reason="there is no /dev/full")
    def test_a_full_disk(self, command, finished_run):
        ended = command("generate", finished_run, "--max-length", 3, "--trace", "/dev/full")
        assert ended.code == 7
        assert ended.err == "/dev/full: cannot be written: No space left on device\n"
