"""The model `seq2seq` beyond the laws of models: attention, input feeding, bridges, sampling."""

import itertools
import math
import random
from collections import Counter
from dataclasses import replace

import pytest
import torch

from seqgen.attentions import Attention, attentions
from seqgen.cells import cells
from seqgen.data import PairBatch, Sources
from seqgen.data.batches import append_eos, padded, shift_right
from seqgen.decoders import Greedy, Limits
from seqgen.embeddings import embeddings
from seqgen.encoders import bridges
from seqgen.heads import heads
from seqgen.models import models
from seqgen.models.seq2seq import ScheduledSampling, mixed
from seqgen.options import OptionError, check_value
from seqgen.registry import plain
from seqgen.state import real, repeat
from seqgen.tokenizers import BOS, EOS, SPECIALS, Facts


def low(share):
    """The curve `sigmoid`, written out."""
    return 0.5 / (1 + math.exp(-10 * (share - 0.5)))


class TestRate:
    @pytest.mark.parametrize(
        ("curve", "at"),
        [
            ("constant", {0: 0, 0.19: 0, 0.2: 0.5, 0.5: 0.5, 0.6: 0.5, 1: 0.5}),
            ("linear", {0: 0, 0.2: 0, 0.3: 0.125, 0.4: 0.25, 0.5: 0.375, 0.6: 0.5, 1: 0.5}),
            (
                "sigmoid",
                {0: 0, 0.19: 0, 0.2: low(0), 0.3: low(0.25), 0.4: 0.25, 0.5: low(0.75), 0.6: 0.5},
            ),
        ],
    )
    def test_by_table(self, curve, at):
        sampling = ScheduledSampling(rate=0.5, curve=curve, begin=0.2, end=0.6)
        assert {share: sampling.at(share) for share in at} == pytest.approx(at)

    @pytest.mark.parametrize("curve", ["constant", "linear", "sigmoid"])
    def test_it_never_falls_and_never_exceeds_its_height(self, curve):
        for begin, end in ((0.0, 1.0), (0.3, 0.7), (0.0, 0.0), (1.0, 1.0)):
            sampling = ScheduledSampling(rate=0.8, curve=curve, begin=begin, end=end)
            rates = [sampling.at(step / 100) for step in range(101)]
            assert rates == sorted(rates)
            assert rates[100] == 0.8
            assert not any(rates[: int(100 * begin)])

    def test_the_default_is_a_line_over_the_whole_run(self):
        sampling = ScheduledSampling()
        assert [sampling.at(share) for share in (0, 0.5, 1)] == [0, 0.125, 0.25]

    def test_a_step(self):
        sampling = ScheduledSampling(curve="linear", begin=0.5, end=0.5)
        assert (sampling.at(0.49), sampling.at(0.5)) == (0, 0.25)


class TestOptions:
    def test_what_is_written_out_can_be_read(self):
        written = plain(ScheduledSampling())
        assert check_value(ScheduledSampling, written, ()) == ScheduledSampling()

    def test_every_token_may_be_the_models_own(self):
        whole = check_value(ScheduledSampling, {"rate": 1, "begin": 1.0, "end": 1}, ())
        assert whole == ScheduledSampling(1.0, "linear", 1.0, 1.0)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"rate": 1.1}, "s.rate: must be at least 0 and at most 1, but is 1.1"),
            ({"rate": -0.1}, "s.rate: must be at least 0 and at most 1, but is -0.1"),
            ({"end": 2}, "s.end: must be at least 0 and at most 1, but is 2"),
            ({"begin": 0.5, "end": 0.4}, "s: `end` must be at least `begin` (0.5), but is 0.4"),
            (
                {"temperature": -1},
                "s.temperature: must be at least 0 and at most 1000000000, but is -1",
            ),
            ({"temperature": math.inf}, "s.temperature: must be at least 0 and at most 1000000000"),
            ({"temperature": math.nan}, "temperature"),
            ({"curve": "steep"}, "s.curve: must be"),
        ],
        ids=str,
    )
    def test_refusals(self, options, message):
        with pytest.raises(OptionError) as caught:
            check_value(ScheduledSampling, options, ("s",))
        assert message in str(caught.value)

    @pytest.mark.parametrize("temperature", [-1, math.inf, math.nan])
    def test_a_temperature_is_looked_at_without_a_recipe_too(self, temperature):
        with pytest.raises(ValueError, match="`temperature` must be at least 0 and finite"):
            ScheduledSampling(temperature=temperature)


def log_probs(*shares):
    return torch.tensor(shares).log()


TRUE = torch.tensor([7, 7, 7])


class TestMixed:
    def test_at_rate_zero_all_are_true(self):
        for temperature in (0.0, 1.0):
            assert torch.equal(
                mixed(TRUE, log_probs([0.5, 0.5]).expand(3, 2), 0, temperature), TRUE
            )

    def test_at_rate_one_and_temperature_zero_each_is_the_first_choice(self):
        scores = log_probs([0.2, 0.5, 0.3], [0.6, 0.2, 0.2], [0.0, 0.1, 0.9])
        assert mixed(TRUE, scores, 1, 0.0).tolist() == [1, 0, 2]

    @pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
    def test_tokens_are_drawn_at_the_temperature(self, temperature):
        torch.manual_seed(1)
        shares, rows = [0.6, 0.3, 0.1, 0.0], 20_000
        scores = log_probs(shares).expand(rows, 4)
        counts = Counter(mixed(torch.full((rows,), 9), scores, 1, temperature).tolist())
        powers = [share ** (1 / temperature) for share in shares]
        for token, power in enumerate(powers):
            share = power / sum(powers)
            spread = 4 * math.sqrt(share * (1 - share) / rows)
            assert counts[token] / rows == pytest.approx(share, abs=spread)

    def test_a_share_of_them_is_replaced(self):
        torch.manual_seed(1)
        tokens = torch.full((20_000,), 9)
        found = mixed(tokens, log_probs([1.0, 0.0]).expand(20_000, 2), 0.3, 1.0)
        assert set(found.tolist()) == {0, 9}
        assert float((found == 0).float().mean()) == pytest.approx(0.3, abs=0.015)

    def test_rows_are_replaced_independently_of_what_is_drawn(self):
        torch.manual_seed(1)
        tokens, scores = torch.full((20_000,), 9), log_probs([0.5, 0.5]).expand(20_000, 2)
        own = [token for token in mixed(tokens, scores, 0.5, 1.0).tolist() if token != 9]
        assert sum(own) / len(own) == pytest.approx(0.5, abs=0.02)

    @pytest.mark.parametrize("temperature", [1e-300, 1e-42, 1e-4, 1e30, 1e300])
    def test_any_temperature_draws_what_is_possible(self, temperature):
        scores = log_probs([0.2, 0.5, 0.3, 0.0]).expand(500, 4)
        drawn = set(mixed(torch.full((500,), 9), scores, 1, temperature).tolist())
        assert drawn == ({1} if temperature < 1 else {0, 1, 2})

    @pytest.mark.parametrize("temperature", [0.0, 1.0])
    def test_a_model_that_diverges_is_still_seen_in_its_loss(self, temperature):
        scores = torch.full((3, 4), math.nan)
        assert set(mixed(TRUE, scores, 1, temperature).tolist()) <= {0, 1, 2, 3}

    def test_it_repeats_with_the_state_of_torch(self):
        scores = log_probs([0.5, 0.5]).expand(100, 2)
        found = []
        for _ in range(2):
            torch.manual_seed(5)
            found.append(mixed(torch.full((100,), 9), scores, 0.5, 1.0).tolist())
        assert found[0] == found[1]
        assert found[0] != mixed(torch.full((100,), 9), scores, 0.5, 1.0).tolist()

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64], ids=str)
    def test_of_any_precision_and_of_no_rows(self, dtype):
        for rows in (0, 3):
            scores = log_probs([0.5, 0.5]).expand(rows, 2).to(dtype)
            assert mixed(TRUE[:rows], scores, 1, 1.0).shape == (rows,)


VOCAB = 8
LENGTHS = (2, 5, 1, 3, 4)
"""Of the targets, EOS included."""
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture
def build(write_build):
    return write_build


@pytest.fixture
def model(writer):
    return writer


def gradients(model, batch):
    model.zero_grad()
    model.loss(batch).total.backward()
    return [
        torch.zeros_like(each) if each.grad is None else each.grad.clone()
        for each in model.parameters()
    ]


def test_the_cases_have_every_cell_on_both_sides(seq2seq_cases):
    assert {case[1] for case in seq2seq_cases} >= set(cells.names())
    assert {case[2] for case in seq2seq_cases} >= set(cells.names())
    assert all(one != other for _, one, other, *_ in seq2seq_cases)
    readers = itertools.product(("recurrent", "bidirectional"), (False, True))
    assert {(case[0], case[4]) for case in seq2seq_cases} >= {*readers}
    looks = itertools.product(attentions.names(), (False, True))
    assert {case[3:] for case in seq2seq_cases} >= {*looks}


class TestLaws:
    def test_gradients_of_rows_add_up(self, model, batch_for, take):
        batch = batch_for(model)
        rows = [gradients(model, take(batch, [row])) for row in range(5)]
        summed = [sum(each) for each in zip(*rows, strict=True)]
        torch.testing.assert_close(summed, gradients(model, batch), rtol=1e-4, atol=1e-5)

    def test_more_padding_changes_nothing(self, model, batch_for):
        def wider(tokens, lengths, token):
            wide = torch.nn.functional.pad(tokens, (0, 3), value=token)
            return wide.masked_fill(~real(lengths, wide.shape[1]), token)

        batch = batch_for(model)
        here = batch.sources
        if not here.values.is_floating_point():
            here = Sources(wider(here.values, here.lengths, 5), here.lengths)
        inputs, targets = (
            wider(tokens, batch.lengths, token)
            for tokens, token in ((batch.inputs, 6), (batch.targets, 7))
        )
        other = replace(batch, sources=here, inputs=inputs, targets=targets)
        torch.testing.assert_close(model.loss(other).total, model.loss(batch).total, **CLOSE)
        found, wanted = model.score(other), model.score(batch)
        torch.testing.assert_close(found.nats[:, :5], wanted.nats, **CLOSE)
        assert torch.equal(found.predicted[:, :5], wanted.predicted)
        assert not found.nats[:, 5:].any()
        torch.testing.assert_close(gradients(model, other), gradients(model, batch), **CLOSE)

    def test_rows_side_by_side_read_their_own_source(self, model, batch_for, take):
        batch, k = batch_for(model), 3
        tokens = torch.randint(4, VOCAB, (2, 5, k), generator=torch.Generator().manual_seed(5))
        whole = model.start(batch.sources)
        state = repeat(whole.state, k)
        found = []
        for each in tokens:
            log_probs, state = model.step(each.flatten(), state, whole.context)
            found.append(log_probs.view(5, k, VOCAB))
        for row in (1, 3):  # the empty source and the longest
            for path in range(k):
                start = model.start(take(batch, [row]).sources)
                alone = start.state
                for step in range(2):
                    log_probs, alone = model.step(tokens[step, [row], path], alone, start.context)
                    torch.testing.assert_close(log_probs[0], found[step][row, path], **CLOSE)

    def test_targets_without_tokens(self, model, batch_for):
        """Whose outputs are asked for attention where nothing was allowed to be said."""
        batch = batch_for(model, lengths=(0,) * 5)
        assert float(model.loss(batch).total.detach()) == 0
        assert model.score(batch).nats.shape == (5, 0)
        assert not model.looks_back or model.attention_weights(batch).shape[:2] == (5, 0)

    def test_weights_are_shares_of_the_source_for_each_target(self, model, case, batch_for):
        batch = batch_for(model)
        weights = model.attention_weights(batch)
        assert model.looks_back == (case[3] != "none") == (weights is not None)
        if weights is None:
            return
        assert weights.shape == (5, 5, batch.sources.values.shape[1])
        for row, length in enumerate(LENGTHS):
            source = int(batch.sources.lengths[row])
            for step, shares in enumerate(weights[row].detach()):
                total = 1.0 if source and step < length else 0.0
                assert float(shares.sum()) == pytest.approx(total, abs=1e-5)
                assert not shares[source:].any()

    def test_weights_are_those_of_the_steps(self, model, batch_for):
        batch, seen = batch_for(model), []
        wanted = model.attention_weights(batch)
        if wanted is None:
            return
        hook = model.attention.register_forward_hook(lambda *found: seen.append(found[2][1]))
        _, state, context, _ = model.start(batch.sources)
        for t, read in enumerate(batch.inputs.unbind(1)):
            _, state = model.step(read, state, context)
            mask = batch.lengths > t
            torch.testing.assert_close(seen[-1][mask, 0], wanted[mask, t], **CLOSE)
        hook.remove()


LOOKING = [name for name in attentions.names() if name != "none"]


@pytest.mark.parametrize("feeding", [False, True])
@pytest.mark.parametrize("attention", ["general", "additive"])
def test_keys_are_worked_out_once_for_a_source(build, batch_for, attention, feeding):
    model = build(("recurrent", "lstm", "gru", attention, feeding))
    batch, calls = batch_for(model), []
    model.attention.of_memory.register_forward_hook(lambda *_: calls.append(1))
    model.loss(batch)
    assert len(calls) == 1
    Greedy().decode(model, model.start(batch.sources), Limits(6))
    assert len(calls) == 2


@pytest.mark.parametrize("attention", ["none", "general", "additive"])
@pytest.mark.parametrize("cell", ["lstm_cell", "gru"])
def test_input_feeding_by_hand(build, batch_for, attention, cell):
    """The cell reads the embedded token and what the head read last, at first zeros."""
    model = build(("bidirectional", "gru_cell", cell, attention, True))
    batch = batch_for(model)
    summary, memory, mask = model.encoder(batch.sources)
    keys = model.attention.keys(memory)
    state = model.cell.state_from(torch.tanh(model.bridge.linear(summary)))
    read = torch.zeros(5, model.cell.output_size)
    found = []
    for tokens in batch.inputs.unbind(1):
        x = torch.cat([model.embedding.table()[tokens], read], 1)
        output, state = model.cell.step_input(x, state)
        joined, _ = model.attention(output.unsqueeze(1), keys, memory, mask)
        read = joined.squeeze(1)
        found.append(model.head.log_probs(read))
    nats = -torch.stack(found, 1).gather(2, batch.targets.unsqueeze(2)).squeeze(2)
    mask = real(batch.lengths, 5)
    torch.testing.assert_close(model.score(batch).nats[mask], nats[mask], **CLOSE)


def test_without_input_feeding_the_cell_reads_the_tokens_alone(build, batch_for):
    model = build()
    batch = batch_for(model)
    summary, memory, mask = model.encoder(batch.sources)
    state = model.cell.state_from(model.bridge(summary))
    outputs, _ = model.cell(model.embedding(batch.inputs), state)
    read, _ = model.attention(outputs, model.attention.keys(memory), memory, mask)
    wanted = -model.head.log_probs(read).gather(2, batch.targets.unsqueeze(2)).squeeze(2)
    mask = real(batch.lengths, 5)
    torch.testing.assert_close(model.score(batch).nats[mask], wanted[mask], **CLOSE)


class TestBridges:
    @pytest.mark.parametrize("name", bridges.names())
    def test_each_leads_to_a_model_that_scores_and_steps(self, build, batch_for, name):
        model = build(("recurrent", "lstm_cell", "lstm", "general", False), bridge=name)
        batch = batch_for(model)
        torch.testing.assert_close(model.loss(batch).total, model.score(batch).nats.sum(), **CLOSE)
        first, _ = model.step(*model.start(batch.sources)[:3])
        nats = -first.gather(1, batch.targets[:, :1]).squeeze(1)
        torch.testing.assert_close(nats, model.score(batch).nats[:, 0], **CLOSE)

    def test_copy_begins_where_the_encoder_has_ended(self, build, batch_for):
        model = build(("recurrent", "lstm_cell", "lstm_cell", "none", False), bridge="copy")
        sources = batch_for(model).sources
        start, ends = model.start(sources), model.encoder(sources).summary
        assert torch.equal(torch.cat([*start.state.cell], 1), ends)

    def test_copy_of_another_size_is_refused(self, build):
        with pytest.raises(OptionError, match="as large as the state, but they have 10 and 5 numb"):
            build(("recurrent", "lstm", "gru", "none", False), bridge="copy")

    def test_with_zeros_and_no_attention_nothing_passes(self, build, batch_for):
        model = build(("recurrent", "lstm", "gru", "none", False), bridge="zeros")
        first, _ = model.step(*model.start(batch_for(model).sources)[:3])
        torch.testing.assert_close(first, first[:1].expand(5, VOCAB))

    def test_every_pair_of_cells_has_a_bridge(self, model):
        """The state that the bridge fills is one that the cell would have made itself."""
        summary = torch.zeros(3, model.encoder.summary_size)
        state = model.cell.state_from(model.bridge(summary))
        torch.testing.assert_close(model.cell.summary(state), model.bridge(summary))


class TestParts:
    @pytest.mark.parametrize("feeding", [False, True])
    @pytest.mark.parametrize("head", heads.names())
    def test_any_head(self, build, batch_for, small, head, feeding):
        model = build(
            ("recurrent", "lstm", "gru", "general", feeding),
            head=small(heads, head),
            embedding={"size": 5},
        )
        batch = batch_for(model)
        torch.testing.assert_close(model.loss(batch).total, model.score(batch).nats.sum(), **CLOSE)
        log_probs, _ = model.step(*model.start(batch.sources)[:3])
        torch.testing.assert_close(log_probs.exp().sum(1), torch.ones(5))

    def test_one_hot_targets(self, build, batch_for):
        model = build(embedding="one_hot")
        batch = batch_for(model)
        assert model.loss(batch).total.isfinite()
        assert "one_hot" in embeddings.names()

    def test_letters_of_the_source(self, build, batch_for):
        letters = {"name": "recurrent", "cell": {"name": "gru", "hidden_size": 3}}
        encoder = {"name": "recurrent", "cell": {"name": "gru", "hidden_size": 4}}
        model = build(encoder={**encoder, "letters": letters})
        batch = batch_for(model)
        other = replace(batch.sources, letters=(batch.sources.letters + 1) % 8)
        changed = replace(batch, sources=other)
        assert not torch.equal(model.loss(batch).total, model.loss(changed).total)

    @pytest.mark.parametrize("name", LOOKING)
    @pytest.mark.parametrize("encoder", ["label", "vector"])
    def test_an_encoder_without_memory_is_refused_in_words(self, build, name, encoder):
        with pytest.raises(OptionError, match=r"^attention: attention needs an encoder with a mem"):
            build((encoder, "", "gru", name, False))

    def test_dot_wants_as_wide_a_memory(self, build):
        with pytest.raises(OptionError, match=r"^attention: attention `dot` needs a cell as wide"):
            build(
                ("recurrent", "lstm", "gru", "dot", False), cell={"name": "gru", "hidden_size": 6}
            )

    @pytest.mark.parametrize("feeding", [False, True])
    def test_an_attention_of_ones_own(self, build, batch_for, own_registries, feeding):
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

    def test_a_new_run_tells_each_part_of_its_own_vocabulary(self, build, tmp_path):
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
        uniform = sum(
            model.score(replace(batch, targets=torch.full_like(batch.targets, token))).nats.sum()
            for token in range(VOCAB)
        )
        torch.testing.assert_close(
            model.loss(batch).total, 0.8 * nats + 0.2 / VOCAB * uniform, **CLOSE
        )
        torch.testing.assert_close(model.score(batch).nats.sum(), nats, **CLOSE)


class TestPrecision:
    @pytest.mark.parametrize("attention", attentions.names())
    @pytest.mark.parametrize("feeding", [False, True])
    def test_float64_says_the_same(self, build, batch_for, attention, feeding):
        case = ("recurrent", "lstm_cell", "gru", attention, feeding)
        model = build(case)
        batch = batch_for(model)
        wanted = model.score(batch).nats
        found = model.double().score(batch).nats
        assert found.dtype == torch.float64
        torch.testing.assert_close(found.float(), wanted, **CLOSE)

    @pytest.mark.parametrize("attention", attentions.names())
    @pytest.mark.parametrize("feeding", [False, True])
    def test_training_in_bfloat16(self, build, batch_for, attention, feeding):
        cell = dict(zip(attentions.names(), ["gru", "lstm_cell", "gru", "slstm"], strict=False))
        case = ("recurrent", "lstm", cell.get(attention, "gru"), attention, feeding)
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
            assert all(each.isfinite().all() for each in found[-1])
            assert all(each.any() for each in found[-1])
            if model.sampling is None:
                torch.testing.assert_close(loss.total, exact, rtol=0.02, atol=0.02)
        for one, other in zip(found[0], wanted, strict=True):
            torch.testing.assert_close(one, other, rtol=0.1, atol=0.05)


class TestSampling:
    """Scheduled sampling in the model; the schedule has tests of its own."""

    @pytest.fixture(params=itertools.product(["none", "general"], [False, True]), ids=str)
    def sampler(self, request, build):
        def make(**sampling):
            case = ("recurrent", "lstm", "gru", *request.param)
            return build(case, sampling={"curve": "constant", **sampling}).train()

        return make

    def test_at_rate_zero_it_is_teacher_forcing(self, sampler, batch_for):
        for options in ({"rate": 0.0}, {"rate": 1.0, "begin": 0.5}):
            model = sampler(**options)
            batch = batch_for(model)
            model.advance(0.4)
            before = torch.get_rng_state()
            found = model.loss(batch).total
            assert torch.equal(torch.get_rng_state(), before)
            model.eval()
            assert torch.equal(found, model.loss(batch).total)

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
        batch = batch_for(model)
        losses = {}
        for progress in (0.0, 0.5, 1.0):
            model.advance(progress)
            torch.manual_seed(1)
            losses[progress] = {float(model.loss(batch).total.detach()) for _ in range(6)}
        assert len(losses[0.0]) == len(losses[1.0]) == 1
        assert len(losses[0.5]) > 1
        assert losses[0.0] != losses[1.0]

    def test_it_is_drawn_from_torchs_own_state(self, sampler, batch_for):
        model = sampler(rate=0.5)
        batch, found = batch_for(model), []
        for _ in range(2):
            torch.manual_seed(3)
            found.append([float(model.loss(batch).total.detach()) for _ in range(3)])
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
        assert len({float(model.loss(batch).total.detach()) for _ in range(5)}) == 1

    def test_a_model_that_diverges_has_a_loss_of_nan(self, sampler, batch_for):
        model = sampler(rate=1.0)
        torch.nn.init.constant_(model.head.project.bias, math.nan)
        assert model.loss(batch_for(model)).total.isnan()


class TestLearning:
    """It reads a few letters, and writes them backwards."""

    @pytest.fixture
    def words(self):
        """A function from lengths and a seed to words and the batch in which they are reversed."""

        def make(count, lengths, seed):
            draw = random.Random(seed)
            words = [draw.choices(range(4, 8), k=draw.choice(lengths)) for _ in range(count)]
            targets = [append_eos(torch.tensor(word[::-1])) for word in words]
            read = Sources(*padded([append_eos(torch.tensor(word)) for word in words]))
            numbers = torch.arange(count)
            return words, PairBatch(read, shift_right(targets), *padded(targets), numbers)

        return make

    @pytest.fixture
    def learned(self, words):
        """A function that trains a model on words of some lengths: the share that it then gets
        right of others."""

        def train(attention, lengths, steps, **options):
            cell = {"name": "gru", "hidden_size": 32}
            encoder = {"name": "recurrent", "cell": cell, "embedding": {"size": 16}}
            parts = {"encoder": encoder, "cell": cell, "embedding": {"size": 16}, **options}
            torch.manual_seed(1)
            spec = {"name": "seq2seq", "attention": attention, **parts}
            model = models.build(spec, vocab_size=8, source={"vocab_size": 8})
            optimizer = torch.optim.Adam(model.parameters())
            for step in range(steps):
                optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / steps)
                model.advance(step / steps)
                loss = model.loss(words(64, lengths, step)[1])
                optimizer.zero_grad()
                (loss.total / loss.tokens).backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
            asked, batch = words(200, lengths, "others")
            with torch.inference_mode():
                start = model.eval().start(batch.sources)
                found = Greedy().decode(model, start, Limits(8, (EOS,)))
            right = [
                own[0].tokens == (*word[::-1], EOS) for own, word in zip(found, asked, strict=True)
            ]
            return sum(right) / len(right)

        return train

    def test_with_attention_it_reverses_words(self, learned):
        assert learned("general", [3, 4, 5], 150) == 1.0

    def test_with_input_feeding_and_its_own_tokens_it_does_so_too(self, learned):
        options = {"input_feeding": True, "sampling": {"rate": 0.3, "begin": 0.3}}
        assert learned("additive", [3, 4, 5], 150, **options) >= 0.99

    def test_without_attention_it_reverses_short_ones(self, learned):
        assert learned("none", [1, 2, 3], 150) >= 0.99
