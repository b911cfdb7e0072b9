"""What `generate` does with decoders, lines, rows to score, and traces."""

import io
import json
import os
import pty
import sys
from contextlib import contextmanager

import pytest

from seqgen.cli import generation, source_lines
from seqgen.cli.generation import DecoderOptions
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
        (("beam", ["beam_size=x"], None, 3), "--set beam_size=x: beam_size: "),
        (("beam", ["alpha=x"], None, 3), "--set alpha=x: alpha: "),
    ],
)
def test_what_is_wrong_is_named(trained, options, line):
    with pytest.raises(RecipeError) as caught:
        DecoderOptions(*options).build(trained)
    assert str(caught.value).startswith(line)


# Lines in, lines out: files, standard input, and who sits at a terminal.
BEAM = ("--decoder", "beam", "--set", "beam_size=4")


@pytest.fixture
def answers(output, place):
    """A function from lines to the lines that a command makes of them, which must work."""

    def call(lines, *words, err=""):
        place.write("in.txt", "".join(f"{line}\n" for line in lines))
        return output("generate", "@pairs", "--input", "in.txt", *words, err=err).splitlines()

    return call


def test_ten_thousand_lines_in_their_order(answers, few_words, place):
    words = sorted(set(few_words(40)))
    of_each = dict(zip(words, answers(words), strict=True))
    assert len(set(of_each.values())) > 20
    lines = [words[i * i % len(words)] for i in range(10_000)]
    assert answers(lines, "--output", "out.txt", "evaluation.batch_size=500") == []
    out = (place.folder / "out.txt").read_text()
    assert out == "".join(f"{of_each[line]}\n" for line in lines)
    assert not (place.folder / "out.txt.part").exists()
    assert answers([], "--output", "out.txt") == []
    assert (place.folder / "out.txt").read_bytes() == b""


@pytest.mark.parametrize("decoder", ["greedy", "beam", "multinomial"])
def test_a_line_does_not_depend_on_other_lines(answers, few_words, decoder, monkeypatch):
    words = few_words(40)
    sizes = [f"evaluation.batch_size={size}" for size in (1, 7, 64)]
    found = [answers(words, "--decoder", decoder, size) for size in sizes]
    assert found[0] == found[1] == found[2]
    monkeypatch.setattr(generation, "LINES_AT_ONCE", 11)
    assert answers(words, "--decoder", decoder) == found[0]


def test_line_ends(output, answers, place):
    place.write("odd.txt", b"\xef\xbb\xbfab\r\nc\rdea")
    told = output("generate", "@pairs", "--input", "odd.txt").splitlines()
    assert told == answers(["ab", "c", "dea"])


def test_a_prompt_goes_on_in_its_line(output, place):
    place.write("in.txt", "the \n\ncat")
    told = output("generate", "@lm", "--input", "in.txt", "--max-length", 5)
    [first, second, third] = told.splitlines()
    assert (len(first), len(second), len(third)) == (9, 5, 8)
    assert (first[:4], third[:3]) == ("the ", "cat")


ONE_NODE = ["--set", "max_nodes=1", "--set", "nodes_at_once=1"]
NO_WAY = "constraints=[{name: forbid, texts: [A, B, C]}, {name: allowed, texts: [AB]}]"


@pytest.mark.parametrize(
    ("lines", "words", "found", "warning"),
    [
        (
            *("ax b xü", [], 3),
            "3 tokens of the sources are unknown to the model (2 different: 'x', 'ü')",
        ),
        (
            *("abcde", ["--decoder", "exact", *ONE_NODE], 1),
            "the search's budget ran out: 1 of 1 texts are the best found so far",
        ),
        (
            *("abc b", ["--set", NO_WAY], 0),
            "2 of 2 texts do not satisfy all constraints; they end where no token was possible",
        ),
        (  # training has words of up to 5 letters
            *("abcde abcdea abcdeabcde", [], 3),
            "2 sources are longer than any in training, which have up to 6 tokens",
        ),
    ],
)
def test_what_is_odd_about_lines_is_counted(answers, lines, words, found, warning):
    told = answers(lines.split(), *words, err=f"warning: {warning}\n")
    assert len(told) == len(lines.split())
    assert len([line for line in told if line]) == found


def test_progress_at_a_terminal(answers, monkeypatch):
    monkeypatch.setattr(generation, "LINES_AT_ONCE", 2)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    shown = "\r2 of 3 lines\r3 of 3 lines\n"
    answers(["a", "b", "c"], "--output", "out.txt", err=shown)


def test_empty_lines(answers, refused):
    """Dropped ones are answered with an empty line, kept ones are asked; usually an error."""
    [first, second, third, fourth] = answers(["abc", "", " ", "d"], "data.empty=drop")
    assert (second, third) == ("", "")
    assert [first, fourth] == answers(["abc", "d"])
    found = [json.loads(line) for line in answers(["", "a"], "data.empty=drop", "--json")]
    assert [len(each["outputs"]) for each in found] == [0, 1]
    [line] = answers([""], "data.empty=keep", "--json")
    [output] = json.loads(line)["outputs"]
    assert len(output["tokens"]) >= 1
    said = "in.txt:1: the source is empty (data.empty=drop …"
    refused(4, "generate @pairs --input in.txt --output out.txt", said)


def test_a_table_of_several_outputs(answers):
    rows = [line.split("\t") for line in answers(["abc", "d"], *BEAM, "--n-best", 3)]
    assert [row[:2] for row in rows] == [[n, rank] for n in "12" for rank in "123"]
    scores = [float(row[2]) for row in rows]
    assert scores[:3] == sorted(scores[:3], reverse=True)
    assert [rows[0][3], rows[3][3]] == answers(["abc", "d"], *BEAM)
    assert len({row[3] for row in rows[:3]}) == 3
    [row] = [line.split("\t") for line in answers(["abc"], "--n-best", 1)]
    assert [row[0], row[1], row[3]] == ["1", "1", *answers(["abc"])]
    drawn = answers(["abc", "d"], "--decoder", "multinomial", "--samples", 3)
    assert [line.split("\t")[:2] for line in drawn] == [[n, rank] for n in "12" for rank in "123"]


def test_json_has_all_of_each_source(answers):
    first, second = map(json.loads, answers(["abc", "d"], *BEAM, "--n-best", 2, "--json"))
    assert set(first) == {"number", "source", "outputs"}
    assert (second["number"], second["source"]) == (2, "d")
    assert [len(first["outputs"]), len(second["outputs"])] == [2, 2]
    best = first["outputs"][0]
    assert best["text"] == "".join(best["pieces"][:-1])
    assert best["score"] == pytest.approx(sum(best["log_probs"]))
    assert best["finished"]


def test_standard_input_is_answered(output, answers, type_in, place):
    type_in(b"\xef\xbb\xbfabc\r\nde\rc")
    told = output("generate", "@pairs")
    assert told.splitlines() == answers(["abc", "de", "c"])
    type_in("abc\nde\nc\n")
    assert output("generate", "@pairs", "--input", "-") == told
    type_in("abc\n")
    assert output("generate", "@pairs", "--output", "out.txt") == ""
    assert (place.folder / "out.txt").read_text().count("\n") == 1
    drawn = ("data.empty=drop", "--decoder", "multinomial", "--seed", 5)
    type_in("abc\n\nabc\nabc\n")
    lines = output("generate", "@pairs", *drawn).splitlines()
    assert lines == answers(["abc", "", "abc", "abc"], *drawn)
    assert len({*lines}) > 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"abc\nd\te\nc\n", "standard input:2: "),
        (b"abc\nde\xff\nc\n", "standard input:2: invalid UTF-8 at byte 2 of the line\n"),
    ],
)
def test_the_lines_before_a_wrong_one_are_answered(command, pairs_run, type_in, content, said):
    type_in(content)
    ended = command("generate", pairs_run)
    assert (ended.code, ended.out.count("\n")) == (4, 1)
    assert ended.err.startswith(said)


def test_standard_input_that_cannot_be_read(refused, monkeypatch, place):
    monkeypatch.setattr(sys, "stdin", None)
    refused(4, "generate @pairs", "standard input: closed")
    with os.fdopen(os.open(place.write("f", ""), os.O_WRONLY)) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        for words in ("@pairs", "@pairs --input -", "@lm"):
            said = "standard input: cannot be read: Bad file descriptor"
            refused(4, f"generate {words}", said)


@pytest.fixture
def at_terminal(monkeypatch):
    """A context in which standard input is a terminal where this was typed."""

    @contextmanager
    def typing(typed):
        master, slave = pty.openpty()
        os.write(master, typed)
        with os.fdopen(slave) as terminal:
            monkeypatch.setattr(sys, "stdin", terminal)
            yield
        os.close(master)

    return typing


def test_sources_that_someone_types(command, pairs_run, at_terminal):
    """Who types is told what to do, and goes on after a line that is wrong."""
    with at_terminal(b"ab\nc\td\n\x04"):
        ended = command("generate", pairs_run)
    assert (ended.code, ended.out.count("\n")) == (0, 1)
    first, second, third = ended.err.splitlines()
    assert first == "a source a line; Ctrl-D ends"
    assert second.startswith("> > standard input:2: ")
    assert third == "> "


def test_prompts_that_someone_types(command, finished_run, at_terminal):
    """At a terminal it is the recipe's prompts, or what is typed if that is wanted."""
    with at_terminal(b"cat \n\x04"):
        assert command("generate", finished_run).out.startswith("the ")
        ended = command("generate", finished_run, "--input", "-")
    assert ended.out.startswith("cat ")
    assert ended.err == "a prompt a line; Ctrl-D ends\n> > \n"


def test_control_c_leaves_the_line(command, pairs_run, monkeypatch, at_terminal):
    """So `interrupted` and the shell's prompt stand at the beginning of one."""

    def interrupt():
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(source_lines, "typed_lines", interrupt)
    with at_terminal(b""):
        ended = command("generate", pairs_run)
    assert (ended.code, ended.err) == (130, "a source a line; Ctrl-D ends\n> \ninterrupted\n")


def test_each_answer_comes_at_once(spawn, pairs_run):
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
def prompted(output):
    """A function that generates a few tokens with the language model, which must work."""
    return lambda *words, err="": output("generate", "@lm", "--max-length", 6, *words, err=err)


# A language model continues what comes by a pipe or a file, and else the recipe's prompts.
def test_piped_prompts_in_their_order(prompted, pipe_in, place, monkeypatch):
    place.write("in.txt", "cat \n\nthe \ncat ")
    of_file = prompted("--input", "in.txt")
    pipe_in("cat \n\nthe \ncat ")
    assert prompted() == of_file
    with (place.folder / "in.txt").open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert prompted() == of_file
    lines = of_file.splitlines()
    assert [len(line) for line in lines] == [10, 6, 10, 10]
    assert [line[:4] for line in lines if len(line) > 6] == ["cat ", "the ", "cat "]
    pipe_in("cat \n")
    assert prompted() == prompted("--prompt", "cat ")


def test_piped_prompts_in_other_forms(prompted, pipe_in, place):
    pipe_in("cat \nthe \n")
    sources = [json.loads(line)["source"] for line in prompted("--json").splitlines()]
    assert sources == ["cat ", "the "]
    pipe_in("cat \nthe \n")
    rows = [line.split("\t")[:2] for line in prompted("--samples", 2).splitlines()]
    assert rows == [["1", "1"], ["1", "2"], ["2", "1"], ["2", "2"]]
    pipe_in("cat \n")
    assert prompted("--output", "out.txt") == ""
    assert (place.folder / "out.txt").read_text().startswith("cat ")


def test_where_nothing_comes_the_recipe_says(prompted, pipe_in, monkeypatch, place):
    own = prompted("--prompt", "the ")
    pipe_in("")
    assert prompted() == own
    for name in (os.devnull, place.write("empty", "")):
        with open(name) as file:  # noqa: PTH123
            monkeypatch.setattr(sys, "stdin", file)
            assert prompted() == own
    for stdin in (None, io.StringIO("cat ")):
        monkeypatch.setattr(sys, "stdin", stdin)
        assert prompted() == own


def test_what_is_given_comes_before_a_pipe(prompted, pipe_in, place):
    place.write("in.txt", "the ")
    pipe_in("cat \n")
    assert prompted("--prompt", "the ") == prompted("--input", "in.txt")
    assert sys.stdin.read() == "cat \n"


def test_waiting_for_a_silent_pipe_is_announced(prompted, monkeypatch):
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


def test_a_person_sees_the_line_breaks(command, place, pipe_in, train, monkeypatch):
    place.write("text.txt", "ab\n" * 2000)
    folder = train("samples.prompts=['a']", "decoder=greedy", "train.max_steps=60")
    words = ("generate", folder, "--max-length", 5)
    pipe_in("a\na\n")
    assert command(*words).out == "ab\\nab\\n\n" * 2
    pipe_in("a\na\n")
    with monkeypatch.context() as patch:
        patch.setattr(type(sys.stdout), "isatty", lambda stream: True, raising=False)
        assert command(*words).out == "ab\nab\n\n" * 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"ab\nc\td\n", "in.txt:2: `text` must be a source, but has 1 tab…"),
        (b"ab\nc\xff\n", "in.txt:2: invalid UTF-8 at byte 4…"),
        (b"ab\n" + b"c" * 2**20 + b"d", "in.txt:2: the line has 1048577 characters, of which…"),
        (b"\xff\xfea\x00", "in.txt: this is UTF-16; save the file as UTF-8…"),
    ],
    ids=["tab", "utf-8", "long", "utf-16"],
)
def test_a_wrong_line_is_named_before_any_is_answered(content, said, refused, place):
    place.write("in.txt", content)
    place.write("out.txt", "as before")
    refused(4, "generate @pairs --input in.txt --output out.txt", said)
    refused(4, "generate @pairs --input in.txt --trace trace.json", said)


@pytest.mark.parametrize(
    ("code", "words", "said"),
    [
        (2, "@pairs --input a --prompt b", "…--prompt and --input exclude one another…"),
        (2, "@pairs --input a --score b", "…--input and --score exclude one another…"),
        (2, "@pairs --n-best 2 --samples 2", "…--n-best and --samples exclude one another…"),
        (2, "@pairs --prompt a --output b", "…--output goes with --input…"),
        (4, "@pairs --input .", "….: this is a directory…"),
        (7, "@pairs --input in.txt --output no/out", "no/out: cannot be written: No such…"),
        (7, "@pairs --input in.txt --output .", ".: cannot be written: Is a directory…"),
        (2, "@pairs --input in.txt --n-best 2", "…'greedy' finds one sequence for a source…"),
        (3, "@pairs data.empt=keep", "…did you mean 'empty'…"),
        (
            *(3, "@pairs --decoder beam --set beam_size=2 --n-best 3"),
            "--n-best 3: `n_best` must be from 1 to `beam_size`, which is 2, but is 3…",
        ),
        (
            *(3, "@pairs --input in.txt --set 'constraints=[{name: forced_prefix, text: \"?\"}]'"),
            "…forced_prefix…",
        ),
        (7, "@lm --trace no/trace.json", "…no/trace.json: cannot be written…"),
        (7, "@lm --trace folder", "folder: cannot be written…"),
        (7, "@lm --trace in.txt/x", "…in.txt/x: cannot be written…"),
        (2, "@lm --trace -", "--trace must be a file: standard output has the outputs"),
        (2, "@pairs --score x --trace y", "--trace and --score exclude one another"),
        (
            *(2, "@pairs --input in.txt --output out --trace out"),
            "--trace and --output must be two files",
        ),
    ],
)
def test_generate_refuses(refused, code, words, said, place):
    place.write("in.txt", "ab\n")
    place.write("folder/x", "")
    refused(code, f"generate {words}", said)


# Scores of given rows: those that decoders report.
@pytest.fixture
def scored(output, place):
    """A function from a run and rows to what `--score` says of them."""

    def call(run, content, *words, err=""):
        place.write("rows.txt", content)
        return output("generate", run, "--score", "rows.txt", *words, err=err).splitlines()

    return call


@pytest.mark.parametrize("decoder", ["greedy", "beam --n-best 3", "multinomial --samples 2"])
def test_scores_are_what_the_decoder_reports(decoder, answers, scored, few_words):
    lines = answers(few_words(40, seed=3), "--json", "--decoder", *decoder.split())
    found = [(each["source"], own) for each in map(json.loads, lines) for own in each["outputs"]]
    ended = [(source, own) for source, own in found if own["finished"]]
    assert len(ended) > 30
    rows = "".join(f"{source}\t{own['text']}\n" for source, own in ended)
    lines = [json.loads(line) for line in scored("@pairs", rows, "--json")]
    for number, (line, (_, own)) in enumerate(zip(lines, ended, strict=True), 1):
        assert (line["number"], line["tokens"]) == (number, len(own["tokens"]))
        assert line["score"] == pytest.approx(own["score"], abs=1e-5)
        assert line["log_probs"] == pytest.approx(own["log_probs"], abs=1e-5)


def test_a_score_for_a_row(scored, output, type_in, place):
    rows = "abcd\tABCD\nabcd\tEEEE\n\tB\nabc\t\n"
    one, two, three, four = (line.split("\t") for line in scored("@pairs", rows))
    assert [one[1], two[1], three[1], four[1]] == ["5", "5", "2", "1"]
    assert float(one[0]) > float(two[0])
    assert scored("@pairs", "a\tA\n", "--output", "out.txt") == []
    assert (place.folder / "out.txt").read_text().endswith("\t2\n")
    type_in("a\tA\r\nb\tB")
    told = output("generate", "@pairs", "--score", "-")
    assert told.splitlines() == scored("@pairs", "a\tA\nb\tB\n")


def test_unknown_targets_are_counted(scored):
    warning = "warning: 2 tokens of the targets scored as <unk>\n"
    assert len(scored("@pairs", "a\tx\nb\tXB\n", err=warning)) == 2


def test_lines_without_sources_are_scored(train, place, scored):
    place.write("names.txt", "the cat\na mat\nfar dogs\n" * 10)
    place.recipe("{name: text, path: text.txt, batch_size: 4, window: 16}", "{name: lines}")
    run = train("data.path=names.txt", "data.split=[0.7,0.3,0]", "samples.prompts=['a']")
    likely, unlikely = (line.split("\t") for line in scored(run, "the cat\ntac eht\n"))
    assert likely[1] == unlikely[1] == "8"
    assert float(likely[0]) > float(unlikely[0])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a\tA\nb\n", "rows.txt:2: 1 column instead of 2 (source, target): there is no tab…"),
        ("a\tA\tB\n", "rows.txt:1: 3 columns instead of 2…"),
        ("", "rows.txt: no rows in it (an empty file)…"),
    ],
)
def test_a_wrong_row_is_named(content, said, refused, place):
    place.write("rows.txt", content)
    refused(4, "generate @pairs --score rows.txt", said)


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


def test_a_trace_names_the_decoder_and_what_each_line_begins_with(traced, pairs_run, place):
    place.write("words.txt", "ab\ncde\nb\n")
    beam = ["--decoder", "beam", "--set", "beam_size=3", "--set", "length_normalisation=power"]
    traces = traced(pairs_run, *beam, "--json", "--input", "words.txt")
    assert [each["input"] for each in traces] == ["ab", "cde", "b"]
    for each in traces:
        assert each["decoder"]["name"] == "beam"
        assert each["decoder"]["length_normalisation"] == "power"
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


def test_lines_of_which_none_or_not_all_are_asked(output, type_in, place):
    type_in("ab\n\nb\n")
    told = output("generate", "@pairs", "data.empty=drop", "--trace", "trace.json")
    assert told.count("\n") == 3
    traces = json.loads((place.folder / "trace.json").read_bytes())
    assert [each["input"] for each in traces] == ["ab", "b"]
    place.write("none.txt", "")
    output("generate", "@pairs", "--input", "none.txt", "--trace", "trace.json")
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
    assert "There was no room for 1 more input." in page


@pytest.mark.skipif(os.name != "posix", reason="there is no /dev/full")
def test_a_trace_on_a_full_disk(command, finished_run):
    ended = command("generate", finished_run, "--max-length", 3, "--trace", "/dev/full")
    assert ended.code == 7
    assert ended.err == "/dev/full: cannot be written: No space left on device\n"
