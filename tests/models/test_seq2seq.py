"""The model `seq2seq` beyond the laws of models: attention, input feeding, bridges, sampling."""

import itertools
import math
import random
from collections import Counter
from dataclasses import replace

import pytest
import torch

from seqgen.attentions import Attention, attentions
from seqgen.data import PairBatch, Sources
from seqgen.data.batches import append_eos, padded, shift_right
from seqgen.decoders import Greedy, Limits
from seqgen.encoders import bridges
from seqgen.heads import heads
from seqgen.models import models
from seqgen.models.seq2seq import ScheduledSampling, mixed
from seqgen.options import OptionError, check_value
from seqgen.registry import plain
from seqgen.state import leaves, real
from seqgen.tokenizers import BOS, EOS, SPECIALS, Facts

VOCAB = 8
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def low(share):
    """The curve `sigmoid`, written out."""
    return 0.5 / (1 + math.exp(-10 * (share - 0.5)))


class TestSchedule:
    @pytest.mark.parametrize(
        ("options", "at"),
        [
            ({"curve": "constant"}, {0: 0, 0.19: 0, 0.2: 0.5, 0.5: 0.5, 0.6: 0.5, 1: 0.5}),
            ({}, {0: 0, 0.2: 0, 0.3: 0.125, 0.4: 0.25, 0.5: 0.375, 0.6: 0.5, 1: 0.5}),
            (
                {"curve": "sigmoid"},
                {0: 0, 0.19: 0, 0.2: low(0), 0.3: low(0.25), 0.4: 0.25, 0.5: low(0.75), 0.6: 0.5},
            ),
            ({"begin": 0.5, "end": 0.5}, {0.49: 0, 0.5: 0.5}),
        ],
        ids=str,
    )
    def test_rates_by_table(self, options, at):
        sampling = ScheduledSampling(rate=0.5, **{"begin": 0.2, "end": 0.6, **options})
        assert {share: sampling.at(share) for share in at} == pytest.approx(at)

    def test_the_default_is_a_line_over_the_whole_run(self, defaults):
        sampling = ScheduledSampling()
        assert plain(sampling) == defaults("models.seq2seq.sampling", ScheduledSampling)
        assert [sampling.at(share) for share in (0, 0.5, 1)] == [0, 0.125, 0.25]

    @pytest.mark.parametrize("curve", ["constant", "linear", "sigmoid"])
    def test_the_rate_never_falls_and_never_exceeds_its_height(self, curve):
        for begin, end in ((0.0, 1.0), (0.3, 0.7), (0.0, 0.0), (1.0, 1.0)):
            sampling = ScheduledSampling(rate=0.8, curve=curve, begin=begin, end=end)
            rates = [sampling.at(step / 100) for step in range(101)]
            assert rates == sorted(rates)
            assert rates[100] == 0.8
            assert not any(rates[: int(100 * begin)])

    def test_what_is_written_out_can_be_read(self):
        written = plain(ScheduledSampling())
        assert check_value(ScheduledSampling, written, ()) == ScheduledSampling()
        whole = check_value(ScheduledSampling, {"rate": 1, "begin": 1.0, "end": 1}, ())
        assert whole == ScheduledSampling(1.0, "linear", 1.0, 1.0)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"rate": 1.1}, "s.rate: must be at least 0 and at most 1, but is 1.1"),
            ({"rate": -0.1}, "s.rate: must be at least 0 and at most 1, but is -0.1"),
            ({"end": 2}, "s.end: must be at least 0 and at most 1, but is 2"),
            ({"begin": 0.5, "end": 0.4}, "s: `end` must be at least `begin` (0.5), but is 0.4"),
            ({"temperature": -1}, "temperature: must be at least 0 and at most 1000000000, but is"),
            (
                {"temperature": math.inf},
                "s: `temperature` must be at least 0 and finite, but is inf",
            ),
            ({"temperature": math.nan}, "temperature"),
            ({"curve": "steep"}, "s.curve: must be"),
        ],
        ids=str,
    )
    def test_refusals(self, options, message):
        with pytest.raises(OptionError) as caught:
            check_value(ScheduledSampling, options, ("s",))
        assert message in str(caught.value)
        if "temperature" in options:  # which is looked at without a recipe too
            with pytest.raises(ValueError, match="`temperature` must be at least 0 and finite"):
                ScheduledSampling(**options)


class TestMixed:
    ROWS = 20_000
    NINES = torch.full((ROWS,), 9)

    @staticmethod
    def log_probs(*shares, rows=3):
        return torch.tensor(shares).log().expand(rows, -1)

    @pytest.fixture(autouse=True)
    def _seed(self):
        torch.manual_seed(1)

    @pytest.mark.parametrize(
        ("rate", "temperature", "wanted"), [(0, 0.0, 7), (0, 1.0, 7), (1, 0.0, 1)]
    )
    def test_all_are_true_or_all_are_the_first_choice(self, rate, temperature, wanted):
        scores = self.log_probs(0.2, 0.5, 0.3)
        found = mixed(torch.tensor([7, 7, 7]), scores, rate, temperature)
        assert found.tolist() == [wanted] * 3

    @pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
    def test_tokens_are_drawn_at_the_temperature(self, temperature):
        shares = [0.6, 0.3, 0.1, 0.0]
        scores = self.log_probs(*shares, rows=self.ROWS)
        counts = Counter(mixed(self.NINES, scores, 1, temperature).tolist())
        powers = [share ** (1 / temperature) for share in shares]
        for token, power in enumerate(powers):
            share = power / sum(powers)
            spread = 4 * math.sqrt(share * (1 - share) / self.ROWS)
            assert counts[token] / self.ROWS == pytest.approx(share, abs=spread)

    def test_a_share_is_replaced_independently_of_what_is_drawn(self):
        found = mixed(self.NINES, self.log_probs(0.5, 0.5, rows=self.ROWS), 0.3, 1.0)
        own = found[found != 9].tolist()
        assert len(own) / self.ROWS == pytest.approx(0.3, abs=0.015)
        assert sum(own) / len(own) == pytest.approx(0.5, abs=0.025)

    @pytest.mark.parametrize("temperature", [1e-300, 1e-42, 1e-4, 1e30, 1e300])
    def test_any_temperature_draws_what_is_possible(self, temperature):
        scores = self.log_probs(0.2, 0.5, 0.3, 0.0, rows=500)
        drawn = set(mixed(self.NINES[:500], scores, 1, temperature).tolist())
        assert drawn == ({1} if temperature < 1 else {0, 1, 2})

    @pytest.mark.parametrize("temperature", [0.0, 1.0])
    def test_a_model_that_diverges_is_still_seen_in_its_loss(self, temperature):
        scores = torch.full((3, 4), math.nan)
        assert set(mixed(self.NINES[:3], scores, 1, temperature).tolist()) <= {0, 1, 2, 3}

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64], ids=str)
    def test_of_any_precision_and_of_no_rows(self, dtype):
        for rows in (0, 3):
            scores = self.log_probs(0.5, 0.5, rows=rows).to(dtype)
            assert mixed(self.NINES[:rows], scores, 1, 1.0).shape == (rows,)


@pytest.fixture
def build(write_build):
    return write_build


def gradients(model, batch):
    model.zero_grad()
    model.loss(batch).total.backward()
    return [
        torch.zeros_like(each) if each.grad is None else each.grad.clone()
        for each in model.parameters()
    ]


class TestAttention:
    def test_weights_are_shares_of_the_source_and_those_of_the_steps(self, writer, batch_for):
        batch, seen = batch_for(writer), []
        weights = writer.attention_weights(batch)
        assert writer.looks_back == writer.attention.looks == (weights is not None)
        if weights is None:
            return
        real_tokens = real(batch.sources.lengths, batch.sources.values.shape[1])
        assert weights.shape == (5, 5, real_tokens.shape[1])
        assert not weights.masked_select(~real_tokens.unsqueeze(1)).any()
        written = real(batch.lengths, 5) & real_tokens.any(1, keepdim=True)
        torch.testing.assert_close(weights.sum(2), written.float(), **CLOSE)
        hook = writer.attention.register_forward_hook(lambda *found: seen.append(found[2][1]))
        _, state, context, _ = writer.start(batch.sources)
        for t, read in enumerate(batch.inputs.unbind(1)):
            _, state = writer.step(read, state, context)
            mask = batch.lengths > t
            torch.testing.assert_close(seen[-1][mask, 0], weights[mask, t], **CLOSE)
        hook.remove()

    def test_targets_without_tokens(self, writer, batch_for):
        """Whose outputs are asked for attention where nothing was allowed to be said."""
        batch = batch_for(writer, lengths=(0,) * 5)
        assert float(writer.loss(batch).total.detach()) == 0
        assert writer.score(batch).nats.shape == (5, 0)
        assert not writer.looks_back or writer.attention_weights(batch).shape[:2] == (5, 0)

    @pytest.mark.parametrize("feeding", [False, True])
    @pytest.mark.parametrize("attention", ["general", "additive"])
    def test_keys_are_worked_out_once_for_a_source(self, build, batch_for, attention, feeding):
        model = build(("recurrent", "lstm", "gru", attention, feeding))
        batch, calls = batch_for(model), []
        model.attention.of_memory.register_forward_hook(lambda *_: calls.append(1))
        model.loss(batch)
        assert len(calls) == 1
        Greedy().decode(model, model.start(batch.sources), Limits(6))
        assert len(calls) == 2

    @pytest.mark.parametrize("attention", ["none", "general", "additive"])
    @pytest.mark.parametrize("cell", ["lstm_cell", "gru"])
    @pytest.mark.parametrize("feeding", [False, True])
    def test_what_is_read_by_hand(self, build, batch_for, attention, cell, feeding):
        """The cell reads the embedded token and, where that is fed, what the head read last, at
        first zeros."""
        model = build(("bidirectional", "gru_cell", cell, attention, feeding))
        batch = batch_for(model)
        summary, memory, mask = model.encoder(batch.sources)
        keys = model.attention.keys(memory)
        state = model.cell.state_from(torch.tanh(model.bridge.linear(summary)))
        read, found = torch.zeros(5, model.cell.output_size), []
        for tokens in batch.inputs.unbind(1):
            x = model.embedding.table()[tokens]
            output, state = model.cell.step_input(torch.cat([x, read], 1) if feeding else x, state)
            read = model.attention(output.unsqueeze(1), keys, memory, mask)[0].squeeze(1)
            found.append(model.head.log_probs(read))
        nats = -torch.stack(found, 1).gather(2, batch.targets.unsqueeze(2)).squeeze(2)
        mask = real(batch.lengths, 5)
        torch.testing.assert_close(model.score(batch).nats[mask], nats[mask], **CLOSE)

    @pytest.mark.parametrize("feeding", [False, True])
    def test_one_of_ones_own(self, build, batch_for, own_registries, feeding):
        """Its output may be of another size than the cell's, also where the cell reads it."""

        @attentions.register("mean")
        class Mean(Attention):
            def __init__(self, query_size: int, memory_size: int) -> None:
                super().__init__()
                self.output_size = query_size + memory_size

            def forward(self, queries, keys, memory, mask):
                """The mean of the memory next to the query."""
                shares = mask / mask.sum(1, keepdim=True).clamp(min=1)
                weights = shares.unsqueeze(1).expand(-1, queries.shape[1], -1)
                return torch.cat([queries, weights @ memory], 2), weights

        model = build(("recurrent", "lstm", "gru", "mean", feeding))
        batch = batch_for(model)
        torch.testing.assert_close(model.loss(batch).total, model.score(batch).nats.sum(), **CLOSE)
        assert float(model.attention_weights(batch)[4, 0, 0]) == 0.25
        assert model.head.project.in_features == 10
        assert len(Greedy().decode(model, model.start(batch.sources), Limits(3))) == 5


@torch.inference_mode()
def test_a_stepper_for_many_tokens_takes_the_same_steps(writer, batch_for):
    current, state, context, _ = writer.start(batch_for(writer).sources)
    assert writer.stepper(63) is writer
    stepper, other = writer.stepper(64), state
    for _ in range(3):
        wanted, state = writer.step(current, state, context)
        found, other = stepper.step(current, other, context)
        torch.testing.assert_close(found, wanted, **CLOSE)
        for one, two in zip(leaves(other), leaves(state), strict=True):
            torch.testing.assert_close(one, two, **CLOSE)
        current = found.argmax(1)


class TestBridges:
    @pytest.mark.parametrize("name", bridges.names())
    def test_each_leads_to_a_model_that_scores_and_steps(self, build, batch_for, name):
        model = build(("recurrent", "lstm_cell", "lstm_cell", "none", False), bridge=name)
        batch = batch_for(model)
        torch.testing.assert_close(model.loss(batch).total, model.score(batch).nats.sum(), **CLOSE)
        start = model.start(batch.sources)
        first, _ = model.step(*start[:3])
        nats = -first.gather(1, batch.targets[:, :1]).squeeze(1)
        torch.testing.assert_close(nats, model.score(batch).nats[:, 0], **CLOSE)
        if name == "copy":  # it begins where the encoder has ended
            ends = model.encoder(batch.sources).summary
            assert torch.equal(torch.cat([*start.state.cell], 1), ends)
        if name == "zeros":  # nothing passes without attention
            torch.testing.assert_close(first, first[:1].expand(5, VOCAB))


class TestParts:
    @pytest.mark.parametrize("feeding", [False, True])
    @pytest.mark.parametrize("head", heads.names())
    def test_any_head(self, build, batch_for, small, head, feeding):
        case = ("recurrent", "lstm", "gru", "general", feeding)
        model = build(case, head=small(heads, head), embedding={"size": 5})
        batch = batch_for(model)
        torch.testing.assert_close(model.loss(batch).total, model.score(batch).nats.sum(), **CLOSE)
        log_probs, _ = model.step(*model.start(batch.sources)[:3])
        torch.testing.assert_close(log_probs.exp().sum(1), torch.ones(5))

    def test_letters_of_the_source_and_one_hot_targets(self, build, batch_for):
        letters = {"name": "recurrent", "cell": {"name": "gru", "hidden_size": 3}}
        model = build(encoder={**letters, "letters": letters}, embedding="one_hot")
        batch = batch_for(model)
        other = replace(batch.sources, letters=(batch.sources.letters + 1) % 8)
        found, changed = (model.loss(each).total for each in (batch, replace(batch, sources=other)))
        assert found.isfinite()
        assert not torch.equal(found, changed)

    @pytest.mark.parametrize(
        ("case", "options", "message"),
        [
            *(
                ((encoder, "", "gru", name, False), {}, "^attention: attention needs an encoder wi")
                for encoder, name in itertools.product(
                    ("label", "vector"), ("additive", "dot", "general")
                )
            ),
            (
                ("recurrent", "lstm", "gru", "dot", False),
                {"cell": {"name": "gru", "hidden_size": 6}},
                "^attention: attention `dot` needs a cell as wide",
            ),
            (
                ("recurrent", "lstm", "gru", "none", False),
                {"bridge": "copy"},
                "as large as the state, but they have 10 and 5 numb",
            ),
        ],
    )
    def test_parts_that_do_not_go_together_are_refused(self, build, case, options, message):
        with pytest.raises(OptionError, match=message):
            build(case, **options)

    def test_a_new_run_describes_to_each_part_its_own_vocabulary(self, build, tmp_path):
        for name, text in (("source", "cat 1 2 3\n"), ("target", "chat 4 5 6 7\n")):
            (tmp_path / name).write_text(text, encoding="utf-8")
        vectors = [
            {"name": "pretrained", "path": str(tmp_path / name), "size": size}
            for name, size in (("source", 3), ("target", 4))
        ]
        cell = {"name": "gru", "hidden_size": 4}
        model = build(
            encoder={"name": "recurrent", "cell": cell, "embedding": vectors[0]},
            embedding=vectors[1],
            head={"name": "linear", "unigram_bias": True},
        )
        words, mots = (*SPECIALS, *"abcd", "cat"), (*SPECIALS, *"xyz", "chat")
        counts = torch.tensor([0, 0, 5, 0, 3, 1, 0, 0]).numpy()
        with pytest.warns(UserWarning, match="vectors for 1 of"):
            model.initialise({"source": Facts(words), "target": Facts(mots, counts)})
        assert model.encoder.vectors.embedding.table()[8].tolist() == [1, 2, 3]
        assert model.embedding.table()[7].tolist() == [4, 5, 6, 7]
        bias = model.head.project.bias
        assert bias[EOS] > bias[4] > bias[5] > bias[0]


class TestNoise:
    @pytest.mark.parametrize("feeding", [False, True])
    @pytest.mark.parametrize("where", ["dropout", "input_dropout", "encoder"])
    def test_dropout_is_in_training_only(self, build, batch_for, where, feeding):
        options = {where: 0.5}
        if where == "encoder":
            cell = {"name": "gru", "hidden_size": 4}
            options = {"encoder": {"name": "recurrent", "cell": cell, "dropout": 0.5}}
        model = build(("recurrent", "lstm", "gru", "general", feeding), **options)
        batch = batch_for(model)
        reads = {
            "loss": lambda: model.loss(batch).total,
            "score": lambda: model.score(batch).nats,
            "weights": lambda: model.attention_weights(batch),
        }
        for name, read in reads.items():
            model.train()
            # What falls after attention does not change where it looks, unless it is fed.
            same = name == "weights" and where == "dropout" and not feeding
            assert torch.equal(read(), read()) == same, name
            model.eval()
            assert torch.equal(read(), read()), name

    def test_label_smoothing_is_in_the_training_loss_only(self, build, batch_for):
        model = build(head={"name": "linear", "label_smoothing": 0.2})
        batch = batch_for(model)
        nats = model.score(batch).nats.sum()
        torch.testing.assert_close(model.loss(batch).total, nats, **CLOSE)
        model.train()
        assert (model.loss(batch).total - nats).abs() > 0.01
        torch.testing.assert_close(model.score(batch).nats.sum(), nats, **CLOSE)


@pytest.mark.parametrize("attention", attentions.names())
@pytest.mark.parametrize("feeding", [False, True])
class TestPrecision:
    def test_float64_says_the_same(self, build, batch_for, attention, feeding):
        model = build(("recurrent", "lstm_cell", "gru", attention, feeding))
        batch = batch_for(model)
        wanted = model.score(batch).nats
        found = model.double().score(batch).nats
        assert found.dtype == torch.float64
        torch.testing.assert_close(found.float(), wanted, **CLOSE)

    def test_training_in_bfloat16(self, build, batch_for, attention, feeding):
        cell = {"dot": "lstm_cell", "none": "slstm"}.get(attention, "gru")
        case = ("recurrent", "lstm", cell, attention, feeding)
        model = build(case, sampling={"rate": 0.5, "curve": "constant"}).train()
        batch, sampling, model.sampling = batch_for(model), model.sampling, None
        exact, wanted = model.loss(batch).total, gradients(model, batch)
        found = []
        for model.sampling in (None, sampling):
            model.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                loss = model.loss(batch)
            loss.total.backward()
            found.append([each.grad.clone() for each in model.parameters()])
            assert all(each.isfinite().all() and each.any() for each in found[-1])
            if model.sampling is None:
                torch.testing.assert_close(loss.total, exact, rtol=0.02, atol=0.02)
        torch.testing.assert_close(found[0], wanted, rtol=0.1, atol=0.05)


class TestSampling:
    """Scheduled sampling in the model; the schedule has tests of its own."""

    @pytest.fixture(params=itertools.product(["none", "general"], [False, True]), ids=str)
    def sampler(self, request, build):
        def make(**sampling):
            case = ("recurrent", "lstm", "gru", *request.param)
            return build(case, sampling={"curve": "constant", **sampling}).train()

        return make

    @staticmethod
    def losses(model, batch, times):
        return [float(model.loss(batch).total.detach()) for _ in range(times)]

    def test_at_rate_zero_it_is_teacher_forcing(self, sampler, batch_for):
        for options in ({"rate": 0.0}, {"rate": 1.0, "begin": 0.5}):
            model = sampler(**options)
            batch = batch_for(model)
            model.advance(0.4)
            before = torch.get_rng_state()
            found = model.loss(batch).total
            assert torch.equal(torch.get_rng_state(), before)
            assert torch.equal(found, model.eval().loss(batch).total)

    def test_at_rate_one_it_reads_its_own_first_choices(self, sampler, batch_for):
        model = sampler(rate=1.0, temperature=0.0)
        batch = batch_for(model)
        found, slopes = model.loss(batch).total, gradients(model, batch)
        _, state, context, _ = model.eval().start(batch.sources)
        tokens, inputs = torch.full((5,), BOS), []
        for _ in range(5):
            inputs.append(tokens)
            log_probs, state = model.step(tokens, state, context)
            tokens = log_probs.argmax(1)
        own = replace(batch, inputs=torch.stack(inputs, 1))
        assert not torch.equal(own.inputs, batch.inputs)
        torch.testing.assert_close(found, model.loss(own).total, **CLOSE)
        # So what was drawn is read as if it had been given: no gradient flows through the choice.
        torch.testing.assert_close(slopes, gradients(model, own), rtol=1e-4, atol=1e-5)

    def test_the_rate_follows_the_budget(self, sampler, batch_for):
        model = sampler(rate=1.0, temperature=0.0, curve="linear")
        batch, found = batch_for(model), {}
        for progress in (0.0, 0.5, 1.0):
            model.advance(progress)
            torch.manual_seed(1)
            found[progress] = {*self.losses(model, batch, 6)}
        assert len(found[0.0]) == len(found[1.0]) == 1 < len(found[0.5])
        assert found[0.0] != found[1.0]

    def test_it_is_drawn_from_torchs_own_state(self, sampler, batch_for):
        model = sampler(rate=0.5)
        batch, found = batch_for(model), []
        for _ in range(2):
            torch.manual_seed(3)
            found.append(self.losses(model, batch, 3))
        assert found[0] == found[1]
        assert len(set(found[0])) > 1

    def test_evaluation_never_samples(self, sampler, batch_for):
        model = sampler(rate=1.0)
        model.advance(1.0)
        batch = batch_for(model)
        model.eval()
        before = torch.get_rng_state()
        loss, score = model.loss(batch).total, model.score(batch)
        model.attention_weights(batch)
        assert torch.equal(torch.get_rng_state(), before)
        model.sampling = None
        assert torch.equal(loss, model.loss(batch).total)
        assert torch.equal(score.nats, model.score(batch).nats)

    def test_the_first_token_read_is_always_the_begin(self, sampler, batch_for, take):
        model = sampler(rate=1.0)
        batch = take(batch_for(model), [2])  # its target is EOS alone
        assert len({*self.losses(model, batch, 5)}) == 1

    def test_a_model_that_diverges_has_a_loss_of_nan(self, sampler, batch_for):
        model = sampler(rate=1.0)
        torch.nn.init.constant_(model.head.project.bias, math.nan)
        assert model.loss(batch_for(model)).total.isnan()


class TestLearning:
    """It reads a few letters, and writes them backwards."""

    @staticmethod
    def words(count, lengths, seed):
        """Words, and the batch in which they are reversed."""
        draw = random.Random(seed)
        words = [draw.choices(range(4, 8), k=draw.choice(lengths)) for _ in range(count)]
        targets = [append_eos(torch.tensor(word[::-1])) for word in words]
        read = Sources(*padded([append_eos(torch.tensor(word)) for word in words]))
        return words, PairBatch(read, shift_right(targets), *padded(targets), torch.arange(count))

    @staticmethod
    def share_right(model, words, batch):
        with torch.inference_mode():
            start = model.eval().start(batch.sources)
            found = Greedy().decode(model, start, Limits(8, (EOS,)))
        pairs = zip(found, words, strict=True)
        return sum(own[0].tokens == (*word[::-1], EOS) for own, word in pairs) / len(words)

    def trained(self, batch_at, steps, **options):
        cell = {"name": "gru", "hidden_size": 32}
        encoder = {"name": "recurrent", "cell": cell, "embedding": {"size": 16}}
        parts = {"encoder": encoder, "cell": cell, "embedding": {"size": 16}, **options}
        torch.manual_seed(1)
        spec = {"name": "seq2seq", **parts}
        model = models.build(spec, vocab_size=8, source={"vocab_size": 8})
        optimizer = torch.optim.Adam(model.parameters())
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / steps)
            model.advance(step / steps)
            loss = model.loss(batch_at(step))
            optimizer.zero_grad()
            (loss.total / loss.tokens).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        return model

    def test_with_attention_it_reverses_words_that_it_has_not_seen(self):
        def batch_at(step):
            return self.words(64, [3, 4], step)[1]

        model = self.trained(batch_at, 120, attention="general")
        assert self.share_right(model, *self.words(200, [3, 4], "others")) >= 0.99

    @pytest.mark.parametrize(
        "options",
        [
            {"attention": "none"},
            {
                "attention": "additive",
                "input_feeding": True,
                "sampling": {"rate": 0.3, "begin": 0.3},
            },
        ],
        ids=str,
    )
    def test_a_few_words_it_learns_by_heart(self, options):
        words, batch = self.words(12, [1, 2, 3, 4], 1)
        model = self.trained(lambda step: batch, 60, **options)
        assert self.share_right(model, words, batch) == 1.0
