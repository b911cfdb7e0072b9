"""Language models of seqgen for lm-evaluation-harness, as its model `seqgen` (the extra `eval`).

`python -m seqgen.harness run --model seqgen --model_args run=runs/NAME --tasks ...` is its command
line with this model; in Python it is enough to import this module.
"""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from seqgen.data import TokenBatch, padded
from seqgen.decoders import USUAL_TRUNCATIONS, Decoder
from seqgen.errors import SeqgenError, SetupError
from seqgen.evaluate import batches_by_length, unknown_remark
from seqgen.models import Generative, evaluating
from seqgen.tokenizers import BOS, EOS, UNK
from seqgen.trained import TrainedRun

try:
    from lm_eval.api.model import TemplateLM
    from lm_eval.api.registry import register_model
except ImportError:
    missing = "the evaluation harness is not installed; pip install 'seqgen-toolkit[eval]'"
    raise SetupError(missing) from None

WINDOW = 256
"""Tokens that are scored at once, with the state carried from window to window."""

MAX_LENGTH = 256
"""Tokens of an output where a task does not say."""

Scored = tuple[float, bool]


@register_model("seqgen")
class SeqgenLM(TemplateLM):
    """The model of a run directory that continues texts, for tasks of any kind.

    `run` is its folder, `plugin` a file that it was trained with. `batch_size` is that of the
    recipe's evaluation unless it is a number. What a text begins with is what the data has: BOS
    where lines are texts, nothing in a stream, but for an empty context. Raises SetupError if the
    run answers sources, and what `TrainedRun.load` raises.
    """

    def __init__(
        self,
        run: str,
        device: str | None = None,
        batch_size: int | str | None = None,
        max_batch_size: int | None = None,
        plugin: str | None = None,
    ) -> None:
        super().__init__()
        plugins = [] if plugin is None else [plugin]
        self.trained = TrainedRun.load(run, device or "auto", plugins=plugins)
        self._built = self.trained.built
        if not self._built.data.continues:
            raise SetupError(f"{run}: the harness needs a language model, which continues texts")
        self._device = self._built.device
        usual = self._built.recipe.evaluation.batch_size
        self._batch_size = int(batch_size) if batch_size and batch_size != "auto" else usual
        self._begin = [BOS] if self._built.data.ends else []
        self._unknown: Counter[str] = Counter()

    @property
    def eot_token_id(self) -> int:
        return EOS

    @property
    def prefix_token_id(self) -> int:
        return BOS

    @property
    def tokenizer_name(self) -> str:
        return self._built.tokenizer.fingerprint()

    def tok_encode(
        self, string: str, add_special_tokens: bool | None = None, **kwargs: Any
    ) -> list[int]:
        tokens = self._built.tokenizer.encode(string).tolist()
        if UNK in tokens:
            self._unknown.update(self._built.data.unknown(string, self._built.tokenizers))
        return tokens if add_special_tokens is False else [*self._begin, *tokens]

    def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = False) -> list[float]:
        """The log-probability of whole texts, however long they are: the state is carried."""
        texts = [text for text, *_ in (request.args for request in requests)]
        rows = [([BOS], self.tok_encode(text, add_special_tokens=False)) for text in texts]
        found = [score for score, _ in self._score(rows)]
        for text, score in zip(texts, found, strict=True):
            self.cache_hook.add_partial("loglikelihood_rolling", (text,), score)
        return found

    def _loglikelihood_tokens(self, requests: Any, **kwargs: Any) -> list[Scored]:
        rows = [(context or [BOS], rest) for _, context, rest in requests]
        found = self._score(rows)
        for (key, _, _), scored in zip(requests, found, strict=True):
            self.cache_hook.add_partial("loglikelihood", key, scored)
        return found

    def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:
        """Greedy, unless a task samples; requests with the same options share batches."""
        groups: dict[str, list[int]] = {}
        for place, request in enumerate(requests):
            groups.setdefault(repr(sorted(request.args[1].items())), []).append(place)
        found = [""] * len(requests)
        for places in groups.values():
            given = dict(requests[places[0]].args[1])
            until, decoder = given.pop("until", None) or (), self._decoder(given)
            with warnings.catch_warnings():  # that a text cannot contain what ends it is no fault
                warnings.simplefilter("ignore", UserWarning)
                stops = [until] if isinstance(until, str) else [each for each in until if each]
                run = self.trained.generating(stop=stops)
            length = int(given.get("max_gen_toks", MAX_LENGTH))
            prompts = [requests[place].args[0] for place in places]
            outputs = run.continuations(prompts, decoder, length, sequence_ids=places)
            for place, [output, *_] in zip(places, outputs, strict=True):
                found[place] = output.text
                self.cache_hook.add_partial("generate_until", requests[place].args, output.text)
        return found

    def _decoder(self, given: Mapping[str, Any]) -> Decoder:
        """The decoder that a task asks for. Raises ValueError if it is none that is known here."""
        known = {"max_gen_toks", "do_sample", "temperature", *USUAL_TRUNCATIONS}
        if others := ", ".join(sorted(given.keys() - known)):
            raise ValueError(f"`generation_kwargs` must be known to seqgen, but has {others}")
        if not given.get("do_sample") or not given.get("temperature", 1.0):
            return self.trained.decoder("greedy")
        truncations = [
            {"name": name, option: (int if option == "k" else float)(given[name])}
            for name, option in USUAL_TRUNCATIONS.items()
            if given.get(name)
        ]
        temperature = float(given.get("temperature", 1.0))
        spec = {"name": "multinomial", "temperature": temperature, "truncations": truncations}
        return self.trained.decoder(spec)

    def _score(self, rows: Sequence[tuple[list[int], list[int]]]) -> list[Scored]:
        """For each context and what follows it: its log-probability, and whether each of its
        tokens is the most probable one."""
        if remark := unknown_remark(self._unknown, "texts of the tasks"):
            warnings.warn(remark, stacklevel=3)
        self._unknown.clear()
        found: list[Scored] = [(0.0, True)] * len(rows)
        lengths = [len(context) + len(rest) for context, rest in rows]
        with evaluating(self._built.model), self._built.computing():
            for places in batches_by_length(lengths, self._batch_size):
                scores = self._batch([rows[place] for place in places])
                for place, scored in zip(places, scores, strict=True):
                    found[place] = scored
        return found

    def _batch(self, rows: Sequence[tuple[list[int], list[int]]]) -> Iterable[Scored]:
        model = cast(Generative, self._built.model)
        before, sizes = self._padded(context[:-1] for context, _ in rows)
        state = model.read_on(before, None, sizes.cpu())
        inputs, lengths = self._padded([*context[-1:], *rest[:-1]] for context, rest in rows)
        targets, lengths = self._padded(rest for _, rest in rows)
        nats = torch.zeros(len(rows), dtype=torch.double)
        greedy = torch.ones(len(rows), dtype=torch.bool)
        for begin in range(0, targets.shape[1], WINDOW):
            here = slice(begin, begin + WINDOW)
            own = (lengths - begin).clamp(0, WINDOW)
            score = model.score(TokenBatch(inputs[:, here], targets[:, here], own), state)
            state = score.state
            nats += score.nats.double().sum(1).cpu()
            greedy &= (score.correct.sum(1) == own).cpu()
        return zip((-nats).tolist(), greedy.tolist(), strict=True)

    def _padded(self, rows: Iterable[Sequence[int]]) -> tuple[Tensor, Tensor]:
        values, lengths = padded([torch.tensor([*row], dtype=torch.long) for row in rows])
        return values.to(self._device), lengths.to(self._device)


def main() -> None:
    """The command line of the harness; an expected fault of ours is one line."""
    from lm_eval.__main__ import cli_evaluate

    try:
        cli_evaluate()
    except SeqgenError as error:
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
