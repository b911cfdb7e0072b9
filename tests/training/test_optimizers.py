"""The optimizers: every one that is offered takes steps and gets somewhere."""

import io

import pytest
import torch

from seqgen.options import OptionError
from seqgen.training import optimizers

# Those that move slowly or fast by nature get a rate of their own.
RATES = {"adadelta": 1.0, "adafactor": 0.1, "sgd": 0.1, "asgd": 0.1, "muon": 0.05}
MATRICES_ONLY = {"muon"}
RATE_ONLY_AT_FIRST = {"rprop"}  # later steps have sizes of their own: schedules do nothing to it


class Quadratic(torch.nn.Module):
    """The distance of a matrix and a vector from a goal, whose loss is 0 at best."""

    def __init__(self, vectors):
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        shapes = [(3, 4), (4,)] if vectors else [(3, 4)]
        self.goals = [torch.randn(shape, generator=generator) for shape in shapes]
        starts = [torch.randn(shape, generator=generator) for shape in shapes]
        self.found = torch.nn.ParameterList(starts)

    def loss(self):
        pairs = zip(self.found, self.goals, strict=True)
        return sum((found - goal).square().sum() for found, goal in pairs)


def steps(model, optimizer, count):
    for _ in range(count):
        optimizer.zero_grad(set_to_none=True)
        loss = model.loss()
        loss.backward()
        optimizer.step()
    return model.loss().item()


@pytest.fixture(params=optimizers.names())
def name(request):
    return request.param


@pytest.fixture
def make(name, small):
    """A function that returns a fresh problem and the optimizer for it."""

    def build(**options):
        model = Quadratic(vectors=name not in MATRICES_ONLY)
        spec = {**small(optimizers, name), **options}
        rate = RATES.get(name, 0.05)
        return model, optimizers.build(spec, params=list(model.parameters()), lr=rate)

    return build


def test_there_are_the_ones_that_people_ask_for():
    wanted = {"adam", "adamw", "sgd", "rmsprop", "adagrad", "radam", "nadam", "muon"}
    assert wanted <= set(optimizers.names())
    assert not {"lbfgs", "sparseadam", "optimizer"} & set(optimizers.names())


def test_lowers_the_loss(make):
    model, optimizer = make()
    before = model.loss().item()
    assert steps(model, optimizer, 200) < 0.5 * before


def test_takes_the_rate_of_the_training_loop(make, name):
    model, optimizer = make()
    if name in RATE_ONLY_AT_FIRST:
        (other, slow), _ = make(), steps(model, optimizer, 1)
        steps(other, slow, 1)
        slow.param_groups[0]["lr"] = 0.0
        assert steps(other, slow, 3) == steps(model, optimizer, 3)
        return
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    weight = [each.detach().clone() for each in model.parameters()]
    steps(model, optimizer, 1)
    assert all(map(torch.equal, model.parameters(), weight))


def test_goes_on_from_its_saved_state(make):
    model, optimizer = make()
    steps(model, optimizer, 5)
    stored = io.BytesIO()
    torch.save([model.state_dict(), optimizer.state_dict()], stored)
    stored.seek(0)
    other, following = make()
    for each, state in zip((other, following), torch.load(stored, weights_only=True), strict=True):
        each.load_state_dict(state)
    steps(model, optimizer, 5)
    steps(other, following, 5)
    assert all(map(torch.equal, model.parameters(), other.parameters()))


def test_its_options_written_out_mean_the_same(make, name):
    written = optimizers.check(name).plain()
    options = {key: value for key, value in written.items() if key != "name"}
    (model, one), (other, two) = make(), make(**options)
    assert steps(model, one, 5) == steps(other, two, 5)


class TestOptions:
    def test_the_rate_is_that_of_the_section_train(self):
        with pytest.raises(OptionError, match="lr: not an option of optimizer 'adamw'"):
            optimizers.check({"name": "adamw", "lr": 0.1})

    def test_lists_become_what_torch_wants(self):
        part = optimizers.check({"name": "adamw", "betas": [0.8, 0.9], "eps": 1e-6})
        made = part(params=[torch.nn.Parameter(torch.ones(2))], lr=0.1)
        assert made.defaults["betas"] == (0.8, 0.9)
        assert made.defaults["eps"] == 1e-6

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"betas": 0.9}, "betas: must be a list"),
            ({"betas": [0.9]}, "betas: must be"),
            ({"eps": "small"}, "eps: must be a number"),
            ({"amsgrad": 1}, "amsgrad: must be true or false"),
            ({"ep": 1e-6}, "ep: not an option of optimizer 'adamw'; did you mean 'eps'"),
        ],
    )
    def test_wrong_values_are_named(self, options, message):
        with pytest.raises(OptionError, match=message):
            optimizers.check({"name": "adamw", **options})

    @pytest.mark.parametrize(
        "options", [{"eps": -1.0}, {"betas": [0.9, 1.5]}, {"weight_decay": -0.1}]
    )
    def test_what_torch_refuses_knows_its_place(self, options):
        part = optimizers.check({"name": "adamw", **options}, ("train", "optimizer"))
        with pytest.raises(OptionError, match=r"^train\.optimizer: Invalid"):
            part(params=[torch.nn.Parameter(torch.ones(2))], lr=0.1)

    def test_vectors_are_not_for_muon(self):
        with pytest.raises(OptionError, match="2D parameters"):
            optimizers.build("muon", params=[torch.nn.Parameter(torch.ones(2))], lr=0.1)
