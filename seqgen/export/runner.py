"""Generates with the model of this folder, which `seqgen export` wrote: greedy, sampled or beams.

It needs onnxruntime and numpy, and nothing of seqgen::

    python runner.py "The "                      as the recipe's own decoder does
    python runner.py --sample --temperature 0.7 --seed 3 "The "
    python runner.py --beam 5 < words.txt        an output for each line
    python runner.py --ids "17 4 9"              token ids in, token ids out

The same from Python: `Runner("folder").generate("The ")`. `meta.json` says what the models read and
return; for the same seed a text is that of seqgen, but where two tokens are as good as equal.
"""

from __future__ import annotations

import argparse
import bisect
import codecs
import json
import math
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
FORMAT = 1
ROUNDING = 2.0**-20  # probabilities that differ by less of them are the same to a threshold


class Output(NamedTuple):
    """What was generated: its text, its tokens, the sum of their log-probabilities, whether it
    ended by itself, and what beams sort by."""

    text: str
    tokens: tuple[int, ...]
    score: float
    finished: bool
    rank: float


class Begun(NamedTuple):
    """Where generation begins: the text that goes on, the tokens read, the token that the first
    step reads, state `[1, 1, ...]` and context `[1, ...]`, and how many tokens there may be."""

    text: str
    read: list[int]
    token: int
    state: list[Array]
    context: list[Array]
    room: int


class Runner:
    """The models of a folder, and what they need to read and write texts.

    Raises ValueError if the folder is damaged, or written by a newer release.
    """

    def __init__(self, folder: str | Path = ".", threads: int = 1) -> None:
        import onnxruntime

        folder = Path(folder)
        try:
            self.meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
            self.vocab: int = self.meta["vocab_size"]
            self.ends, self.never = set(self.meta["ends"]), list(self.meta["never"])
            self.states, self.contexts = self.meta["state"], self.meta["context"]
            self.texts: dict[str, Any] = self.meta["texts"]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{folder / 'meta.json'}: damaged: {_reason(error)}") from None
        if (found := self.meta.get("format")) != FORMAT:
            raise ValueError(f"{folder}: has format {found}, but this runner reads {FORMAT}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads

        def session(name: str) -> Any:
            try:
                return onnxruntime.InferenceSession(str(folder / name), options)
            except Exception as error:  # of many kinds, none of which onnxruntime documents
                raise ValueError(f"{folder / name}: {_reason(error)}") from None

        self.stepper = session("step.onnx")
        self.encoder = session("encoder.onnx") if self.meta["encoder"] else None
        sessions = filter(None, [self.encoder, self.stepper])
        self._fed = {own.name for each in sessions for own in each.get_inputs()}

    # Texts and tokens.

    def encode(self, text: str) -> list[int]:
        """The tokens that the model reads of a text. Raises ValueError if it cannot be cut here."""
        how = self.texts["reads"]
        if how is None:
            raise ValueError(f"{self.texts['unreadable']}; give token ids (--ids)")
        for change in how["changes"]:
            text = text.lower() if change == "lower" else unicodedata.normalize(change, text)
        found = [self._ids.get(each, how["unknown"]) for each in _cut(text, how)]
        if None in found:
            raise ValueError(f"{text!r} has what is not in the vocabulary")
        return [*how["before"], *found, *how["after"]] or list(how["empty"])

    @cached_property
    def _ids(self) -> dict[bytes, int]:
        pieces = enumerate(self.texts["reads"]["pieces"])
        return {each.encode("utf-8", "surrogateescape"): token for token, each in pieces}

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens; the ids themselves where only seqgen knows the text."""
        if self.texts["first"] is None:
            return " ".join(map(str, tokens))
        first, content = True, b""
        for token in tokens:
            piece = self.texts["first" if first else "later"][token]
            content += piece.encode("utf-8", "surrogateescape")
            first = token in self.texts["breaks"] or (first and token < 3)
        # A character that lacks bytes at the end is left out.
        return codecs.getincrementaldecoder("utf-8")("replace").decode(content)

    def _output(
        self, begun: Begun, tokens: Sequence[int], score: float, rank: float | None = None
    ) -> Output:
        finished = bool(tokens) and tokens[-1] in self.ends
        content = list(tokens[:-1] if finished and not self.meta["keep_stop"] else tokens)
        before = begun.read if self.meta["continues"] and self.texts["first"] is not None else []
        text = begun.text + self.decode([*before, *content])[len(self.decode(before)) :]
        return Output(text, tuple(tokens), score, finished, score if rank is None else rank)

    # The models.

    def start(self, given: str | Sequence[int], max_length: int | None = None) -> Begun:
        """Read a prompt or source, as a text or as the tokens that the model is to read."""
        size = self.meta["vector_size"]
        if size and isinstance(given, str):
            numbers, read, count = [float(each) for each in given.split()], list[int](), 1
            values = np.array([numbers or [0.0] * size], dtype=np.float32)
            if values.shape[1] != size:
                raise ValueError(f"{size} numbers are needed, but there are {len(numbers)}")
        else:
            read = self.encode(given) if isinstance(given, str) else list(given)
            if not all(0 <= each < self.meta["source_size"] for each in read):
                raise ValueError(f"token ids are from 0 to {self.meta['source_size'] - 1}")
            values, count = np.array([read or [0]]), len(read)
        room = self._room(count, max_length)
        if self.encoder is not None:
            made = self._run(self.encoder, {"source": values, "lengths": np.array([count])})
            state, context = made[: len(self.states)], made[len(self.states) :]
            return Begun("", read, self.meta["first_token"], state, context, room)
        if not read:
            raise ValueError("a prompt needs a token at least")
        state = [
            np.full((1, 1, *each["shape"]), each["initial"], each["dtype"]) for each in self.states
        ]
        for token in read[:-1]:
            _, state = self.step([token], state, [])
        text = given if isinstance(given, str) else self.decode(read if self.texts["first"] else [])
        return Begun(text, read, read[-1], state, [], room)

    def step(
        self, tokens: Sequence[int], state: list[Array], context: list[Array]
    ) -> tuple[Array, list[Array]]:
        """Read a token on each path of one source: log-probabilities `[paths, vocab]`, of which
        those of tokens that no text has are -inf, and the state `[1, paths, ...]` after it."""
        feed = {"tokens": np.array([tokens], dtype=np.int64)}
        for described, arrays in ((self.states, state), (self.contexts, context)):
            feed |= {each["name"]: array for each, array in zip(described, arrays, strict=True)}
        found = self._run(self.stepper, feed)
        log_probs = found[0][0]
        if np.isnan(log_probs).any():
            raise ValueError("the model's scores are NaN")
        log_probs[:, self.never] = -np.inf
        return log_probs, found[1:]

    def _run(self, session: Any, feed: dict[str, Array]) -> list[Array]:
        found: list[Array] = session.run(None, {key: feed[key] for key in feed if key in self._fed})
        return found

    def _room(self, count: int, max_length: int | None) -> int:
        most = self.meta["max_length"] if max_length is None else max_length
        exact = {"one": 1, "source": count}.get(self.meta["length"])
        if exact is not None:
            return exact if max_length is None else min(exact, max_length)
        ratio = self.meta["max_length_ratio"]
        if ratio is not None:
            most = min(most, int(ratio * count + 1e-9) + self.meta["max_length_extra"])
        return int(most)

    # The searches.

    def generate(
        self, given: str | Sequence[int], place: int = 0, max_length: int | None = None, **how: Any
    ) -> Output:
        """The output of the recipe's own decoder, or of the one that `how` describes, as
        `decoder` in `meta.json` does. `place` is that of the input among several."""
        chosen = dict(how or self.meta["decoder"])
        name, begun = chosen.pop("name"), self.start(given, max_length)
        if name == "beam":
            return self.beam(begun, **chosen)[0]
        if name == "greedy":
            return self.walk(begun, lambda log_probs, _: int(log_probs.argmax()))
        if name == "sample":
            return self.walk(begun, Draw(place, **{"seed": self.meta["seed"], **chosen}))
        raise ValueError(f"no decoder {name!r} here; there are beam, greedy and sample")

    def walk(self, begun: Begun, choose: Callable[[Array, int], int]) -> Output:
        """One token after the other, as `choose(log_probs, step)` says."""
        token, state = begun.token, begun.state
        tokens: list[int] = []
        score = 0.0
        while len(tokens) < begun.room and (not tokens or token not in self.ends):
            [log_probs], state = self.step([token], state, begun.context)
            token = choose(log_probs, len(tokens))
            tokens.append(token)
            score += float(log_probs[token])
        return self._output(begun, tokens, score)

    def beam(
        self,
        begun: Begun,
        beam_size: int = 5,
        n_best: int = 1,
        length_normalisation: str = "none",
        alpha: float = 1.0,
        word_reward: float = 0.0,
    ) -> list[Output]:
        """The `n_best` sequences of a beam, the best first; the search ends when no path can come
        among them any more. A rank is `score / divisor + word_reward * length`."""

        def divisor(length: int) -> float:
            base = {"none": 1.0, "power": float(max(length, 1)), "gnmt": (5 + length) / 6}
            return 1.0 if length_normalisation == "none" else base[length_normalisation] ** alpha

        found: list[Output] = []
        paths: list[tuple[int, ...]] = [()]
        scores: Array = np.zeros(1)
        tokens, state, ends = [begun.token], begun.state, self.ends
        for length in range(1, begun.room + 1):
            log_probs, state = self.step(tokens, state, begun.context)
            totals = (scores[:, None] + log_probs).ravel()
            least = found[-1].rank if len(found) == n_best else -math.inf
            live: list[int] = []
            for column, place in enumerate(_highest(totals, beam_size * (1 + len(ends)))):
                token, score = place % self.vocab, float(totals[place])
                if token in ends or length == begun.room:
                    fits = column < beam_size if token in ends else len(live) < beam_size
                    rank = score / divisor(length) + word_reward * length
                    if fits and rank > least:
                        grown = (*paths[place // self.vocab], token)
                        output = self._output(begun, grown, score, rank)
                        bisect.insort_right(found, output, key=lambda each: -each.rank)
                        del found[n_best:]
                if token not in ends and len(live) < beam_size:
                    live.append(place)
            least = found[-1].rank if len(found) == n_best else -math.inf
            best = float(totals[live[0]]) if live else -math.inf
            lengths = (length + 1, begun.room)
            reach = max(best / divisor(each) for each in lengths)
            reach += max(word_reward * each for each in lengths)
            if length == begun.room or reach <= least or not live:
                break
            rows = [place // self.vocab for place in live]
            tokens = [place % self.vocab for place in live]
            paths = [(*paths[row], token) for row, token in zip(rows, tokens, strict=True)]
            scores, state = totals[live], [each[:, rows] for each in state]
        return found or [self._output(begun, (), 0.0)]


@dataclass
class Draw:
    """Draws a token from `p(token) ** (1 / temperature)`, of those that all `truncations` leave,
    pairs of `top_k`, `top_p` or `min_p` and their numbers, one after the other.

    What is drawn is a function of the seed, the place of the input, and the step.
    """

    place: int
    seed: int
    temperature: float = 1.0
    truncations: Sequence[tuple[str, float]] = ()
    temperature_last: bool = False

    def __call__(self, log_probs: Array, step: int) -> int:
        if self.temperature == 0 and not self.temperature_last:
            return int(log_probs.argmax())
        if self.temperature_last:
            kept = self._kept(_shares(log_probs, 1.0))
            weights = _shares(np.where(kept > 0, log_probs, -np.inf), self.temperature)
        else:
            weights = self._kept(_shares(log_probs, self.temperature))
        if self.temperature > 1e9:
            weights = np.sign(weights)
        sums = weights.cumsum()
        point = uniform(self.seed, self.place, step) * sums[-1]
        return int(np.searchsorted(sums, point, side="right"))

    def _kept(self, shares: Array) -> Array:
        for number, (name, value) in enumerate(self.truncations):
            shares = CUTS[name](shares / shares.cumsum()[-1] if number else shares, value)
        return shares


def _shares(log_probs: Array, temperature: float) -> Array:
    """The probabilities at a temperature, in double precision."""
    if temperature == 0:
        weights: Array = np.eye(1, len(log_probs), int(log_probs.argmax()))[0]
    else:
        differences = (log_probs - log_probs.max()).astype(np.float64)
        weights = np.exp(differences / min(temperature, 1e9))
    weights /= weights.sum()
    return weights


def _top_k(shares: Array, k: float) -> Array:
    kept = np.zeros_like(shares)
    chosen = _highest(shares, int(k))
    kept[chosen] = shares[chosen]
    return kept


def _top_p(shares: Array, mass: float) -> Array:
    if mass == 1:
        return shares
    order = np.argsort(-shares, kind="stable")
    stays = shares[order].cumsum()[:-1] < mass * (1 - ROUNDING)
    kept, chosen = np.zeros_like(shares), order[np.concatenate([[True], stays])]
    kept[chosen] = shares[chosen]
    return kept


def _min_p(shares: Array, share: float) -> Array:
    kept: Array = shares * (shares >= shares.max() * share * (1 - ROUNDING))
    return kept


CUTS = {"top_k": _top_k, "top_p": _top_p, "min_p": _min_p}


def uniform(seed: int, place: int, step: int) -> float:
    """A number between 0 and 1 that follows from these three alone: SplitMix64 (Steele, Lea and
    Flood 2014) of one after the other."""
    key, ones = 0, (1 << 64) - 1
    for word in (seed, place, step):
        mixed = ((key ^ (word & ones)) + 0x9E3779B97F4A7C15) & ones
        mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & ones
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & ones
        key = mixed ^ mixed >> 31
    return ((key >> 24) + 0.5) * 2.0**-40


def _highest(values: Array, count: int) -> list[int]:
    """The places of the `count` highest numbers but -inf, best first; ties go to the first."""
    count = min(count, len(values))
    edge = np.partition(values, -count)[-count]
    places = np.flatnonzero((values >= edge) & (values > -np.inf))
    order = np.argsort(-values[places], kind="stable")[:count]
    chosen: list[int] = places[order].tolist()
    return chosen


def _cut(text: str, how: dict[str, Any]) -> Iterator[bytes]:
    """The pieces of a text, as its tokenizer cuts it."""
    text = text.lower() if how["lower"] else text
    if how["pattern"] is None:  # each byte is a piece
        yield from (bytes([each]) for each in text.encode())
        return
    lines = text.split("\n") if how["line_ends"] else [text]
    for number, line in enumerate(lines):
        if number:
            yield b"\n"
        found = (each[0] for each in re.finditer(how["pattern"], line))
        yield from (each.encode() for each in found if each)


def _reason(error: Exception) -> str:
    """An error in one line."""
    text = f"it has no {error}" if isinstance(error, KeyError) else str(error)
    return " ".join(text.split())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Generate with the model of this folder.")
    parser.add_argument("text", nargs="*", help="prompts or sources; without any, lines of input")
    parser.add_argument("--folder", default=Path(__file__).parent, help="that of another model")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--greedy", action="store_true", help="the most probable token at each step")
    how.add_argument("--beam", type=int, metavar="N", help="the best of a beam of N paths")
    how.add_argument("--sample", action="store_true", help="tokens drawn at random")
    parser.add_argument("--length-normalisation", choices=["power", "gnmt"], help="of a beam")
    parser.add_argument("--alpha", type=float, help="of a length normalisation")
    for name, kind in (("temperature", float), ("top-k", int), ("top-p", float), ("min-p", float)):
        parser.add_argument(f"--{name}", type=kind, help="of samples")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--max-length", type=int, metavar="TOKENS")
    parser.add_argument("--ids", action="store_true", help="token ids in, token ids out")
    parser.add_argument("--scores", action="store_true", help="the score and a tab before each")
    return parser.parse_args()


def _chosen(asked: argparse.Namespace, runner: Runner) -> dict[str, Any]:
    """The decoder that the command line asks for; nothing where it asks for the recipe's."""
    beam = {key: getattr(asked, key) for key in ("length_normalisation", "alpha")}
    beam = {key: each for key, each in beam.items() if each is not None}
    cuts = [(key, getattr(asked, key)) for key in CUTS if getattr(asked, key) is not None]
    sampling = asked.sample or asked.temperature is not None or bool(cuts)
    if (beam and asked.beam is None) or (sampling and (asked.greedy or asked.beam is not None)):
        raise ValueError("options of beams and of samples do not go together")
    seed = {} if asked.seed is None else {"seed": asked.seed}
    if asked.beam is not None:
        if asked.beam < 1:
            raise ValueError("--beam must be at least 1")
        return {"name": "beam", "beam_size": asked.beam, **beam}
    if asked.greedy:
        return {"name": "greedy"}
    if not sampling:
        own = dict(runner.meta["decoder"])
        return {**own, **seed} if own["name"] == "sample" else own
    for name, value in cuts:
        if not (value > 0 and (name == "top_k" or value <= 1)):
            raise ValueError(f"--{name.replace('_', '-')} cannot be {value}")
    temperature = 1.0 if asked.temperature is None else asked.temperature
    if not temperature >= 0:
        raise ValueError("--temperature must be at least 0")
    return {"name": "sample", "temperature": temperature, "truncations": cuts, **seed}


def main() -> None:
    """Print an output for each text."""
    asked = _arguments()
    try:
        runner = Runner(asked.folder)
        how = _chosen(asked, runner)
        for place, text in enumerate(asked.text or (line.rstrip("\r\n") for line in sys.stdin)):
            given = [int(each) for each in text.split()] if asked.ids else text
            found = runner.generate(given, place, asked.max_length, **how)
            shown = " ".join(map(str, found.tokens)) if asked.ids else found.text
            sys.stdout.write(f"{found.score:.6f}\t{shown}\n" if asked.scores else f"{shown}\n")
    except ImportError as error:
        sys.exit(f"runner: {error}: pip install onnxruntime numpy")
    except (ValueError, KeyError, OverflowError) as error:
        sys.exit(f"runner: {_reason(error)}")


if __name__ == "__main__":
    main()
