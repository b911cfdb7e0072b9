"""The models of seqgen in lm-evaluation-harness: their figures are those of seqgen itself."""

import itertools
import json
import math
from importlib import import_module
from importlib.util import find_spec

import pytest
import torch

from seqgen.data import TextFile, TokenBatch
from seqgen.errors import SetupError

pytestmark = pytest.mark.skipif(
    find_spec("lm_eval") is None, reason="the extra eval is not installed"
)

LINES = ["the cat sat", "a dogs run far", "saw", "on a mat and the cat " * 30]


def asked(kind, *arguments):
    from lm_eval.api.instance import Instance

    return [Instance(kind, {}, each, place) for place, each in enumerate(arguments)]


@pytest.fixture(scope="module")
def harness():
    """The module, which takes seconds to import."""
    return import_module("seqgen.harness")


@pytest.fixture(scope="module")
def of_lines(run_once, harness):
    """A run whose texts are lines, as the harness has it."""
    spec = "data={name: lines, path: HERE/lines.txt, batch_size: 8, split: [0.8, 0.1, 0.1]}"
    rows = [" ".join(each) for each in itertools.permutations(["the", "cat", "sat", "on mat"])]
    files = {"lines.txt": "\n".join([*LINES[:3], *rows, "and a dogs saw far run"])}
    return harness.SeqgenLM(str(run_once(spec, files=files)), "cpu", batch_size=3)


@pytest.fixture(scope="module")
def of_stream(finished_run, harness):
    return harness.SeqgenLM(str(finished_run), "cpu")


def test_likelihoods_are_those_of_score(of_lines):
    scores = of_lines.trained.score(TextFile.of("\n".join(LINES)), "lines")
    wanted = [math.fsum(each.log_probs[:-1]) for each in scores]  # without the end of the line
    found = of_lines.loglikelihood_rolling(asked("loglikelihood_rolling", *((x,) for x in LINES)))
    assert found == pytest.approx(wanted, abs=1e-5, rel=1e-6)
    pairs = [("the cat", " sat"), ("", "saw"), ("a dogs ", "run far")]
    found = of_lines.loglikelihood(asked("loglikelihood", *pairs), disable_tqdm=True)
    for (context, rest), (score, _) in zip(pairs, found, strict=True):
        [row] = of_lines.trained.score(TextFile.of(context + rest), "line")
        own = len(rest) + len(context) - len(context.rstrip())  # spaces go with what follows
        assert score == pytest.approx(math.fsum(row.log_probs[-own - 1 : -1]), abs=1e-5)


def test_a_long_text_is_read_in_one_state(of_stream, harness):
    text = LINES[3] * 2
    assert len(text) > 4 * harness.WINDOW
    built = of_stream.trained.built
    tokens = torch.tensor([[1, *built.tokenizer.encode(text).tolist()]])
    with torch.inference_mode():
        whole = built.model.score(TokenBatch(tokens[:, :-1], tokens[:, 1:]))
    rows = asked("loglikelihood_rolling", (text,), ("the cat",))
    found = of_stream.loglikelihood_rolling(rows)
    assert found[0] == pytest.approx(-float(whole.nats.double().sum()), abs=1e-4)


def test_what_is_greedy_is_what_greedy_decoding_makes(of_stream):
    text = of_stream.trained.generate("the", "greedy", 12)
    pairs = [("the", text[3:]), ("the", text[3:-1] + "é")]
    found = of_stream.loglikelihood(asked("loglikelihood", *pairs), disable_tqdm=True)
    assert [greedy for _, greedy in found] == [True, False]


def test_texts_are_generated_up_to_a_string(of_stream):
    rows = [
        ("the ", {"until": ["\n\n"], "max_gen_toks": 9}),
        ("a mat", {"until": " ", "max_gen_toks": 20}),
        ("", {"max_gen_toks": 5, "do_sample": True, "temperature": 0.7, "top_k": 3, "top_p": 0.9}),
    ]
    found = of_stream.generate_until(asked("generate_until", *rows), disable_tqdm=True)
    assert found[0] == of_stream.trained.generate("the ", "greedy", 9)[4:]
    assert " " not in found[1]
    assert len(found[2]) == 5
    with pytest.raises(ValueError, match="must be known to seqgen, but has num_beams"):
        of_stream.generate_until(asked("generate_until", ("a", {"num_beams": 2})))


def test_unknown_tokens_are_said(of_stream):
    with pytest.warns(UserWarning, match="2 tokens of the texts of the tasks are unknown"):
        of_stream.loglikelihood_rolling(asked("loglikelihood_rolling", ("the QQ",)))


def test_a_run_that_answers_sources_is_refused(pairs_run, harness):
    with pytest.raises(SetupError, match="the harness needs a language model, which continues"):
        harness.SeqgenLM(str(pairs_run), "cpu")


TASK = """\
task: tiny
dataset_path: json
dataset_kwargs: {data_files: {test: HERE/rows.json}, cache_dir: HERE/cache}
output_type: multiple_choice
test_split: test
doc_to_text: "{{start}}"
doc_to_choice: "{{ends}}"
doc_to_target: "{{right}}"
metric_list: [{metric: acc}]
"""


def test_a_task_from_a_file_is_evaluated(finished_run, place, harness):
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.tasks import TaskManager

    docs = [{"start": "the", "ends": ["cat", "dogs"], "right": n % 2} for n in range(4)]
    place.write("rows.json", "".join(json.dumps(each) + "\n" for each in docs))
    place.write("tasks/tiny.yaml", TASK.replace("HERE", str(place.folder)))
    tasks = TaskManager(include_path=str(place.folder / "tasks"), include_defaults=False)
    found = simple_evaluate(
        model="seqgen",
        model_args={"run": str(finished_run)},
        tasks=["tiny"],
        task_manager=tasks,
        bootstrap_iters=0,
        device="cpu",
        batch_size=2,
    )
    assert found["results"]["tiny"]["acc,none"] == 0.5
