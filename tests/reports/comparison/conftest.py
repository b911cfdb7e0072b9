"""Two comparisons as compare.json has them: of a model that reads sources, and of one that goes on
with prompts and has no metrics. All figures are made up, but such as one could meet."""

import copy
import json
import math
import random

import pytest

WORDS = {
    "tandis": ("T AH N D IY", "T AE N D IH S"),
    "phone": ("F OW N",),
    "recipe": ("R EH S AH P IY",),
    "colonel": ("K ER N AH L",),
    "thorough": ("TH ER OW", "TH AH R OW"),
    "queue": ("K Y UW",),
    "knight": ("N AY T",),
}
STRATEGIES = (  # decoder, its options, how far it goes in its search, rows of the model, noise
    ("greedy", {}, 0.0, 6.4, 0.0),
    ("beam", {"beam_size": 2}, 0.55, 12.7, 0.0),
    ("beam", {"beam_size": 5}, 0.9, 31.0, 0.0),
    ("beam", {"beam_size": 10}, 0.97, 61.0, 0.0),
    ("beam", {"beam_size": 50}, 1.0, 290.0, 0.0),
    ("beam", {"beam_size": 5, "length_normalisation": "average"}, 0.87, 33.0, 0.0),
    ("beam", {"beam_size": 5, "length_normalisation": "power"}, 0.92, 33.0, 0.0),
    ("diverse_beam", {"beam_size": 6, "groups": 3}, 0.6, 39.0, 0.0),
    ("stochastic_beam", {"beam_size": 5}, 0.35, 32.0, 0.3),
    ("minimum_bayes_risk", {"samples": 16}, 0.8, 104.0, 0.1),
    ("multinomial", {"temperature": 0.5}, -0.3, 6.4, 0.4),
    ("multinomial", {"temperature": 1.0}, -2.5, 6.5, 1.0),
    ("top_p", {"p": 0.9}, -1.2, 6.5, 0.8),
    ("exact", {}, 1.0, 52.0, 0.0),
)
MEASURES = {
    "phoneme_error_rate": ("phoneme error rate", "quality", "lower", "share"),
    "word_error_rate": ("word error rate", "quality", "lower", "share"),
    "log_prob_per_token": ("log-probability per token", "score", None, "nats"),
    "log_prob_per_sequence": ("log-probability per output", "score", None, "nats"),
    "distinct_1": ("distinct 1-grams", "diversity", "higher", "share"),
    "distinct_2": ("distinct 2-grams", "diversity", "higher", "share"),
    "entropy_2": ("entropy of 2-grams", "diversity", "higher", "bits"),
    "repeated_4": ("repeated 4-grams", "diversity", "lower", "share"),
    "self_bleu": ("self-BLEU", "diversity", "lower", None),
    "looping": ("outputs that loop", "diversity", "lower", "share"),
    "mean_length": ("length", "length", None, "tokens"),
    "length_ratio": ("length to the reference's", "length", None, None),
    "finished": ("finished", "length", None, "share"),
    "rows_per_input": ("rows read for an input", "work", "lower", None),
}


def label_of(name, options):
    return " ".join([name, *(f"{key}={value}" for key, value in options.items())])


def rounded(value):
    """To 9 significant digits, as compare.json has them."""
    return float(f"{value:.9g}")


def spread_over(draw, value, noise, **more):
    """A value over three seeds where there is noise, else over one."""
    by_seed = [value * (1 + noise * draw.uniform(-0.04, 0.04)) for _ in range(3 if noise else 1)]
    by_seed = [rounded(each) for each in by_seed]
    return {"value": rounded(sum(by_seed) / len(by_seed)), **more, "by_seed": by_seed}


def values_of(draw, search, noise, rows):
    """The values of a strategy: the further the search, the better, up to a point."""
    error = 0.085 - 0.012 * search if search >= 0 else 0.085 - 0.04 * search
    error += 0.004 * max(search - 0.95, 0) * 20
    interval = {"low": rounded(0.86 * error), "high": rounded(1.15 * error)}
    words = min(3.4 * error, 0.98)
    score = -0.052 - 0.09 * max(0.9 - search, 0) * 0.5
    diverse = 0.211 + 0.02 * noise + 0.01 * max(-search, 0)
    return {
        "phoneme_error_rate": spread_over(draw, error, noise, **interval),
        "word_error_rate": spread_over(draw, words, noise, low=0.9 * words, high=1.1 * words),
        "log_prob_per_token": spread_over(draw, score, noise),
        "log_prob_per_sequence": spread_over(draw, 6.4 * score, noise),
        "distinct_1": spread_over(draw, diverse / 6, noise),
        "distinct_2": spread_over(draw, diverse, noise),
        "entropy_2": spread_over(draw, 8 + diverse, noise),
        "repeated_4": spread_over(draw, 0.002 / (1 + noise), noise),
        "self_bleu": spread_over(draw, 12 - 4 * noise, noise),
        "looping": spread_over(draw, 0.0, noise),
        "mean_length": spread_over(draw, 6.37 - 0.1 * max(search, 0), noise),
        "length_ratio": spread_over(draw, 1.004 - 0.02 * max(search, 0), noise),
        "finished": spread_over(draw, 1.0, 0),
        "rows_per_input": spread_over(draw, rows, noise),
    }


def system(draw, run, strategy):
    name, options, search, rows, noise = strategy
    return {
        "label": label_of(name, options),
        "run": run,
        "decoder": {"name": name, **options},
        "draws": noise > 0,
        "seeds": [1, 2, 3] if noise else [1],
        "values": values_of(draw, search, noise, rows),
    }


def against(systems, qualities):
    """The differences from the first system, significant where they are large."""
    baseline = systems[0]["values"]
    for each in systems[1:]:
        each["against_baseline"] = {}
        for name in qualities:
            delta = each["values"][name]["value"] - baseline[name]["value"]
            p_value = rounded(math.exp(-abs(delta) / 0.0025))
            each["against_baseline"][name] = {
                "delta": rounded(delta),
                "low": rounded(delta - 0.006),
                "high": rounded(delta + 0.006),
                "p_value": p_value,
                "p_holm": min(1.0, rounded(13 * p_value)),
            }


def timings_of(draw, systems):
    found = {}
    for each in systems:
        rows = each["values"]["rows_per_input"]["value"]
        seconds = 32 * rows * 4e-5 + 0.02
        found[each["label"]] = {
            "seconds": {"min": 0.95 * seconds, "median": seconds, "max": 1.2 * seconds},
            "sequences_per_second": rounded(32 / seconds),
            "tokens_per_second": rounded(32 * 6.4 / seconds),
            "calls": 21 if each["decoder"]["name"] != "exact" else 160,
            "rows": round(32 * rows),
            "peak_bytes": round(2e6 + 4e5 * rows),
        }
    return {
        "device": "cpu",
        "threads": 1,
        "precision": "float32",
        "batch_size": 32,
        "inputs": 32,
        "warm_ups": 1,
        "repeats": 3,
        "systems": found,
    }


def search_of(systems, run):
    told = []
    for each, (_, _, search, _, _) in zip(systems, STRATEGIES, strict=True):
        missed = max(0.0, min(1.0, 0.16 * (1 - search)))
        outputs = 100 * len(each["seeds"])
        wrong = round(outputs * each["values"]["word_error_rate"]["value"])
        errors = min(round(0.4 * outputs * missed), wrong)
        told.append(
            {
                "label": each["label"],
                "missed": rounded(missed),
                "mean_gap": 0.41 if missed else None,
                "largest_gap": rounded(0.5 + 20 * missed) if missed else None,
                "quality": {
                    "phoneme_error_rate": 0.95 * each["values"]["phoneme_error_rate"]["value"]
                },
                "outputs": outputs,
                "wrong": wrong,
                "search_errors": errors,
                "model_errors": wrong - errors,
            }
        )
    return {
        "inputs": 100,
        "certain": 97,
        "max_nodes": 2000,
        "by_run": [
            {
                "run": run,
                "certain": 97,
                "empty": {"mean_probability": 1.3e-5, "best": 0.0},
                "reference_reachable": 95,
                "best_is_reference": 0.68,
                "best_beats_reference": 0.305,
                "quality_of_best": {"phoneme_error_rate": 0.0741},
                "systems": told,
            }
        ],
    }


def outputs_of(draw, systems, inputs):
    found = []
    for i in range(inputs):
        word = list(WORDS)[i % len(WORDS)]
        references = list(WORDS[word])
        by = []
        for each in systems:
            phones = references[0].split()
            if draw.random() < 0.15 + 0.5 * (each["decoder"]["name"] == "multinomial"):
                phones[draw.randrange(len(phones))] = draw.choice(["AH", "D", "S", "IY"])
            text = " ".join(phones)
            values = {"phoneme_error_rate": 0.0 if text in references else 1 / len(phones)}
            by.append(
                {
                    "label": each["label"],
                    "text": text,
                    "log_prob": -0.2 if text in references else -2.75,
                    "finished": True,
                    "values": values,
                }
            )
        found.append({"input": word, "references": references, "by": by})
    return found


def trace_of():
    considered = [["F", -0.02], ["P", -4.1], ["V", -5.0]]
    return {
        "input": "phone",
        "decoder": {"name": "beam", "beam_size": 2},
        "start": "<s>",
        "nodes": [
            {"parent": -1, "token": "<s>", "log_prob": 0.0, "considered": considered},
            {"parent": 0, "token": "F", "log_prob": -0.02, "considered": [["OW", -0.3]]},
            {"parent": 0, "token": "P", "log_prob": -4.1, "considered": [["OW", -0.9]]},
            {"parent": 1, "token": "OW", "log_prob": -0.3, "considered": [["N", -0.1]]},
            {"parent": 3, "token": "N", "log_prob": -0.1, "considered": [["</s>", -0.01]]},
        ],
        "outputs": [
            {
                "text": "F OW N",
                "log_prob": -0.43,
                "finished": True,
                "node": 4,
                "last": "</s>",
                "last_log_prob": -0.01,
            }
        ],
    }


def best_of(run):
    points = [
        {
            "n": n,
            "by_score": {"phoneme_error_rate": 0.16 / (1 + 0.28 * math.log2(n))},
            "oracle": {"phoneme_error_rate": 0.16 / n**0.6},
        }
        for n in (1, 2, 4, 8, 16)
    ]
    return {
        "decoder": {"name": "multinomial", "temperature": 1.0},
        "inputs": 100,
        "by_run": [{"run": run, "points": points}],
    }


def curve(option, name, run, systems):
    points = [
        {"at": each["decoder"][option], "label": each["label"]}
        for each in systems
        if each["decoder"]["name"] == name and set(each["decoder"]) == {"name", option}
    ]
    return {"option": option, "name": name, "run": run, "points": points}


def measures_of(table):
    return {
        name: {
            "title": title,
            "group": group,
            "better": better,
            "unit": unit,
            "about": f"What {title} means, in a sentence.",
        }
        for name, (title, group, better, unit) in table.items()
    }


def make_pronounced(inputs=12):
    """Fourteen strategies of a grapheme-to-phoneme model."""
    draw, run = random.Random(1), "g2p"
    systems = [system(draw, run, each) for each in STRATEGIES]
    against(systems, ("phoneme_error_rate", "word_error_rate"))
    return {
        "format": 2,
        "seqgen": "0.1.0",
        "description": "Which search for pronunciations?",
        "seed": 1,
        "plan": {
            "baseline": "greedy",
            "unit": "words",
            "samples": 1,
            "seeds": 3,
            "precision": "double",
            "significance": {"level": 0.95, "resamples": 1000, "shuffles": 5000},
        },
        "runs": [
            {
                "name": run,
                "recipe": "g2p_cmudict",
                "description": "English spelling to phonemes",
                "parameters": 1204392,
                "weights": "4f" * 32,
                "data": {"cmudict.tsv": "86" * 32},
            }
        ],
        "inputs": {
            "origin": "test",
            "count": 200,
            "of": 11994,
            "continues": False,
            "references": True,
            "ends": True,
        },
        "measures": measures_of(MEASURES),
        "quality": "phoneme_error_rate",
        "diversity": "distinct_2",
        "baseline": "greedy",
        "systems": systems,
        "references": {
            "values": {
                "log_prob_per_token": {"value": -0.31},
                "distinct_1": {"value": 0.0366},
                "distinct_2": {"value": 0.2166},
                "mean_length": {"value": 6.41},
            }
        },
        "search": search_of(systems, run),
        "curves": [
            curve("beam_size", "beam", run, systems),
            curve("temperature", "multinomial", run, systems),
        ],
        "best_of": best_of(run),
        "verdict": {
            "take": "beam beam_size=5",
            "why": [
                "Its phoneme error rate is 7.42 %, against 8.50 % for greedy (p = 0.02 after "
                "Holm's correction).",
                "No other strategy is better by more than chance would do, and it reads a ninth of "
                "the rows that beam beam_size=50 does.",
            ],
        },
        "outputs": outputs_of(draw, systems, inputs),
        "traces": [
            {"input": "phone", "label": "beam beam_size=2", "run": run, "trace": trace_of()}
        ],
        "timings": timings_of(draw, systems),
    }


TALE = "the king said that he would not go to the sea and the queen was not there at all"
LINES = (
    ("greedy", {}, 0.41, 0.06, -0.9),
    ("multinomial", {"temperature": 0.3}, 0.33, 0.15, -1.0),
    ("multinomial", {"temperature": 0.7}, 0.12, 0.41, -1.4),
    ("multinomial", {"temperature": 1.0}, 0.07, 0.62, -2.1),
    ("top_k", {"k": 10}, 0.1, 0.55, -1.7),
    ("top_p", {"p": 0.9}, 0.05, 0.58, -1.8),
    ("min_p", {"p": 0.05}, 0.06, 0.57, -1.75),
    ("typical", {"mass": 0.9}, 0.08, 0.6, -1.9),
    ("beam", {"beam_size": 5}, 0.47, 0.04, -0.7),
)


def make_told():
    """Nine strategies of a language model of running text, without metrics and without timings."""
    draw, run = random.Random(2), "shakespeare"
    systems = []
    for name, options, unlike, diverse, score in LINES:
        noise = 0.0 if name in {"greedy", "beam"} else 1.0
        values = {
            "unlikeness": spread_over(draw, unlike, noise),
            "log_prob_per_token": spread_over(draw, score, noise),
            "distinct_2": spread_over(draw, diverse, noise),
            "looping": spread_over(draw, max(0.0, 0.5 - diverse), noise),
            "mean_length": {"value": 200.0},
            "finished": {"value": 0.0},
            "rows_per_input": {"value": 200.0 * options.get("beam_size", 1)},
        }
        systems.append(
            {
                "label": label_of(name, options),
                "run": run,
                "decoder": {"name": name, **options},
                "draws": noise > 0,
                "seeds": [1, 2, 3] if noise else [1],
                "values": values,
            }
        )
    table = {"unlikeness": ("unlikeness", "quality", "lower", None), **MEASURES}
    table = {name: each for name, each in table.items() if name in systems[0]["values"]}
    texts = {each["label"]: draw.sample(TALE.split(), 12) for each in systems}
    texts["greedy"] = ["and", "the"] * 60
    by = [
        {"label": label, "text": " ".join(text), "log_prob": -250.5, "finished": False}
        for label, text in texts.items()
    ]
    document = make_pronounced(1)
    return {
        **{key: document[key] for key in ("format", "seqgen", "seed", "plan")},
        "description": "",
        "runs": [{"name": run, "recipe": "char_lstm", "description": "", "parameters": 923713}],
        "inputs": {
            "origin": "test",
            "count": 100,
            "of": 2100,
            "continues": True,
            "references": True,
            "ends": False,
        },
        "measures": measures_of(table),
        "quality": "unlikeness",
        "diversity": "distinct_2",
        "baseline": "greedy",
        "systems": systems,
        "references": {
            "values": {
                "log_prob_per_token": {"value": -1.52},
                "distinct_2": {"value": 0.6},
                "looping": {"value": 0.0},
                "mean_length": {"value": 200.0},
            }
        },
        "search": None,
        "curves": [curve("temperature", "multinomial", run, systems)],
        "best_of": None,
        "verdict": {
            "take": "top_p p=0.9",
            "why": ["Its outputs are the least unlike the references: unlikeness 0.0500."],
        },
        "outputs": [{"input": "First Citizen:\n", "references": [TALE], "by": by}] * 2,
        "traces": [],
    }


@pytest.fixture(scope="session")
def _pronounced():
    return make_pronounced()


@pytest.fixture
def pronounced(_pronounced):
    """Fourteen strategies of a model that reads sources: a document of one's own to change."""
    return copy.deepcopy(_pronounced)


@pytest.fixture
def told():
    """Nine strategies of a language model, without metrics, timings and search errors."""
    return make_told()


@pytest.fixture
def write_document(tmp_path):
    """A function that writes a document as compare.json; returns its folder."""

    def write(document):
        text = document if isinstance(document, str) else json.dumps(document)
        (tmp_path / "compare.json").write_text(text, encoding="utf-8")
        return tmp_path

    return write


@pytest.fixture
def branching():
    """A trace by hand: a beam of two that has kept a and c, then b and d, and found a b."""

    def node(parent, token, log_prob, considered):
        return {"parent": parent, "token": token, "log_prob": log_prob, "considered": considered}

    first = [["a", -0.5], ["c", -1.5], ["e", -2.0], ["f", -9.0]]
    output = {"text": "ab", "log_prob": -0.875, "finished": True, "node": 3}
    return {
        "input": "ab",
        "decoder": {"name": "beam", "beam_size": 2, "constraints": []},
        "start": "<s>",
        "nodes": [
            node(-1, "<s>", 0.0, first),
            node(0, "a", -0.5, [["b", -0.25], ["x", -2.0]]),
            node(0, "c", -1.5, [["d", -0.25]]),
            node(1, "b", -0.25, [["</s>", -0.125], ["d", -2.0]]),
            node(2, "d", -0.25, [["</s>", -1.0]]),
        ],
        "outputs": [{**output, "last": "</s>", "last_log_prob": -0.125}],
    }
