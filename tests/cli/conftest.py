"""What tests of several verbs read: a run with sources, and lines on standard input."""

import io
import random
import sys

import pytest

PAIRS = """\
data: {name: pairs, path: pairs.tsv, batch_size: 32}
model:
  name: seq2seq
  encoder: {name: bidirectional, embedding: {size: 8}, cell: {name: gru, hidden_size: 16}}
  attention: general
  embedding: {size: 8}
  cell: {name: gru, hidden_size: 16}
metrics: [exact_match]
train: {lr: 2e-2, max_steps: 60, validations: 1}
generation: {max_length: 12}
threads: 1
"""


@pytest.fixture(scope="session")
def few_words():
    """A function from a count to so many words of up to 5 letters, always the same ones."""

    def words(count, seed=1):
        draw = random.Random(seed)
        return ["".join(draw.choices("abcde", k=draw.randint(1, 5))) for _ in range(count)]

    return words


@pytest.fixture(scope="session")
def pairs_run(tmp_path_factory, few_words):
    """A run that has half learned to write a word in capitals."""
    from seqgen.run import RunRequest, run

    folder = tmp_path_factory.mktemp("pairs")
    rows = [f"{word}\t{word.upper()}\n" for word in dict.fromkeys(few_words(500))]
    (folder / "pairs.tsv").write_text("".join(rows))
    (folder / "pairs.yaml").write_text(PAIRS)
    path = f"data.path={folder / 'pairs.tsv'}"
    request = RunRequest(str(folder / "pairs.yaml"), [path], folder / "run")
    return run(request, lambda plan: None)


@pytest.fixture
def type_in(monkeypatch):
    """A function after which standard input has these bytes."""

    def put(content):
        raw = io.BytesIO(content if isinstance(content, bytes) else content.encode())
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw, encoding="utf-8"))

    return put
