"""What the shell completes."""

import shlex

import pytest

from seqgen.cli.arguments import plans, recipes, recipes_and_plans, rooms, runs


@pytest.fixture(autouse=True)
def _files(place):
    place.write("char/mine.yaml", "")
    place.write("char/notes.txt", "")
    place.write("char.yml", "")
    place.write("odd [1].yaml", "")
    place.write("runs/one/recipe.yaml", "")
    place.write("runs/two/recipe.yaml", "")
    place.write("runs/three/notes.txt", "")


CHAR_RECIPES = ["char_gru", "char_lstm", "char_min_gru", "char_rnn", "char_stacked_lstm"]


@pytest.mark.parametrize(
    ("incomplete", "found"),
    [
        ("char_", CHAR_RECIPES),
        ("char.", ["char.yml"]),
        ("char/", ["char/mine.yaml"]),
        ("char/m", ["char/mine.yaml"]),
        ("ti", ["tiny.yaml"]),
        ("./ti", ["./tiny.yaml"]),
        ("odd [", ["odd [1].yaml"]),
        ("**", []),
        ("nowhere/", []),
        ("tiny.yaml/", []),
        ("lectures/char_lstm_", ["lectures/char_lstm_cell"]),
    ],
)
def test_recipes(incomplete, found):
    assert recipes(incomplete) == found


def test_recipes_by_whole_paths(place):
    assert recipes(f"{place.folder}/ti") == [f"{place.folder}/tiny.yaml"]
    assert recipes(f"{place.folder}/char/../ti") == [f"{place.folder}/char/../tiny.yaml"]
    assert recipes("/")


def test_plans():
    assert plans("lang") == ["language_model"]
    assert plans("ti") == ["tiny.yaml"]
    assert plans("char_") == []
    assert recipes("lang") == []
    assert recipes_and_plans("s") == [
        "sentencepiece_gru", "shakespeare_char_lstm", "shakespeare_char_lstm_10min", "seq2seq"
    ]  # fmt: skip


def test_runs():
    assert runs("") == ["runs/one", "runs/two"]
    assert runs("runs/t") == ["runs/two"]


def test_rooms():
    assert rooms("c") == ["cells", "constraints", "corpora"]
    assert "optimizers" in rooms("")


MEANT = [
    ("fit tiny.yaml", "seqgen run"),
    ("evalute RUN", "seqgen evaluate"),
    ("evaluat RUN", "seqgen evaluate"),
    ("gen RUN", "seqgen generate"),
    ("generate RUN --max 3", "--max-length"),
    ("translate RUN", "seqgen generate"),
    ("char_lstm", "seqgen run char_lstm"),
    ("tiny.yaml train.lr=1", "seqgen run tiny.yaml"),
    ("run tiny.yaml --max-seconds=20", "train.max_seconds=20"),
    ("run tiny.yaml --epochs 3", "train.max_epochs=3"),
    ("run tiny.yaml --lr 1e-3", "train.lr=1e-3"),
    ("run tiny.yaml --lr", "train.lr=VALUE"),
    ("run tiny.yaml --hidden-size 3", "model.cell.hidden_size=3"),
    ("run tiny.yaml --overwrit", "--overwrite"),
    ("validate tiny.yaml --description 'a b'", "description='a b'"),
    ("generate RUN --beam-size 3", "--decoder beam --set beam_size=3"),
    ("generate RUN --decoder top_p --temperatur 0.7", "--set temperature=0.7"),
    ("generate RUN --length 3", "--max-length"),
    ("generate RUN --promt x", "--prompt"),
    ("evaluate RUN --beam_size 3", "--decoder beam --set beam_size=3"),
    ("evaluate RUN --criterion bleu", "evaluation.criterion=bleu"),
    ("evaluate RUN --split vaild", "'valid'"),
    ("compare RUN --temperature 0.7", "--decoder multinomial --set temperature=0.7"),
    ("compare RUN --seeds 5", "plan.seeds=5"),
    ("compare RUN --resamples 5", "plan.significance.resamples=5"),
    ("new celll mine", "'cell'"),
    ("list --jsn", "--json"),
]


@pytest.mark.parametrize(("words", "meant"), MEANT, ids=[words for words, _ in MEANT])
def test_the_most_similar_thing_is_suggested_as_it_is_typed(
    words, meant, command, place, finished_run
):
    place.recipe()
    typed = [each.replace("RUN", str(finished_run)) for each in shlex.split(words)]
    ended = command(*typed)
    assert ended.code == 2
    assert f"; did you mean {meant}? (see seqgen" in ended.err
    assert ended.err.count("\n") == 1
    assert ended.err.lower().count("did you mean") == 1
    assert "value error" not in ended.err.lower()


@pytest.mark.parametrize("words", ["nonsense", "--nonsense", "run tiny.yaml --xyzzy", "schema x"])
def test_nothing_is_suggested_if_nothing_is_similar(words, command, place):
    place.recipe()
    ended = command(*words.split())
    assert ended.code == 2
    assert "did you mean" not in ended.err


WRONG = [
    (2, "generate RUN The", "The: not of the form KEY=VALUE; did you mean --prompt The?"),
    (2, "generate RUN 'The cat'", "did you mean --prompt 'The cat'?"),
    (2, "compare RUN seeds=3", "seeds=3 is of the plan, not of a recipe; did you mean plan.seeds"),
    (3, "run tiny.yaml hidden_size=1 lr=1", "did you mean 'model.cell.hidden_size'?"),
    (3, "run tiny.yaml train.dropout=0", "train.dropout: not an option of section 'train'; did "),
    (3, "generate RUN lenght=1", "lenght: not an option of a recipe; did you mean 'samples.length"),
    (3, "evaluate RUN --set beam_size=3 metrics=[bleu]", "these have it: beam, diverse_beam, stoc"),
    (3, "validate --plan language_model repeats=3", "did you mean 'speed.repeats'?"),
    (2, "run RUN", "--resume` goes on with it"),
    (3, "validate RUN", "this is a run and no recipe; that of the run is"),
    (3, "run language_model", "language_model: no such recipe; it is a plan (seqgen compare RUN"),
    (5, "generate char_lstm", "it is a recipe: seqgen run char_lstm makes a run of it"),
    (5, "evaluate tiny.yaml", "it is a recipe: seqgen run tiny.yaml makes a run of it"),
]


@pytest.mark.parametrize(("code", "words", "said"), WRONG, ids=[words for _, words, _ in WRONG])
def test_a_misplaced_word_gets_a_suggestion(code, words, said, refusal, place, finished_run):
    place.recipe()
    assert said in refusal(code, *(x.replace("RUN", str(finished_run)) for x in shlex.split(words)))
