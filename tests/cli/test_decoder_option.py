"""What `--n-best` makes of decoders that find several sequences, each in its way."""

import pytest

from seqgen.cli.decoder_option import DecoderOptions
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
    assert (made.search.beam_size, made.search.n_best) == sizes


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
