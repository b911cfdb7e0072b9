"""The laws of cells: every registered cell keeps them, and each broken one is found out."""

import pytest
import torch
from torch import nn

from seqgen.cells import Cell, cells
from seqgen.cells.base import AS_WIDE, BATCH_FIRST, FINITE, RETURNS_TWO, SAME_SHAPE
from seqgen.testing import check_cell
from seqgen.testing.cell import CELL_LAWS

BUILT, REGISTERED = "is a cell", "what it learns is registered"
UNCHANGED, TWICE = "the given state is not written into", "the same twice in evaluation mode"
REPEATED, ALONE = "forward is the repeated step", "a row alone is the row in a batch"
DEVICE, FLOAT64 = "it works on any device", "it works in float64"
RIGHT, REACH = "gradients are right", "gradients reach every parameter"

BREACHES = []
"""Each broken cell, the one law that it breaks, and a part of what is said of it."""


def breaks(law, says):
    def enter(cell):
        BREACHES.append(pytest.param(cell, law, says, id=cell.__name__))
        return cell

    return enter


class Elman(Cell):
    """Nothing is wrong with this one."""

    def __init__(self, input_size, hidden_size=4):
        super().__init__()
        self.output_size = hidden_size
        self.map = nn.Linear(input_size + hidden_size, hidden_size)

    def initial_state(self, batch_size):
        return self.map.weight.new_zeros(batch_size, self.output_size)

    def step(self, x, state):
        state = torch.tanh(self.map(torch.cat([x, state], 1)))
        return state, state


def elman(name, *, before=None, after=None, initial=None, forward=None, **made):
    """An Elman cell of that name in which something is changed: `before` a step its state,
    `after` it what it returned, the `initial` state, what `forward` reads or returns, or what the
    constructor makes (all others)."""

    class Broken(Elman):
        def __init__(self, input_size):
            super().__init__(input_size)
            for key, make in made.items():
                setattr(self, key, make())

        def initial_state(self, batch_size):
            state = super().initial_state(batch_size)
            return initial(state) if initial else state

        def step(self, x, state):
            found = super().step(x, before(self, state) if before else state)
            return after(self, *found) if after else found

        def forward(self, xs, state=None, lengths=None):
            read = super().forward
            return forward(read, xs, state, lengths) if forward else read(xs, state, lengths)

    Broken.__name__ = Broken.__qualname__ = name
    return Broken


def broken(name, law, says):
    return lambda **changes: breaks(law, says)(elman(name, **changes))


broken("BatchSecond", BATCH_FIRST, "of [1, 4, 4]: batch must be")(
    initial=lambda state: state.unsqueeze(0),
    before=lambda self, state: state[0],
    after=lambda self, output, state: (output, state.unsqueeze(0)),
)
broken("BatchSecondLater", BATCH_FIRST, "`step` returned a state tensor")(
    before=lambda self, state: state if state.shape[1] == 4 else state.T,
    after=lambda self, output, state: (output, state.T),
)
broken("MixesRows", ALONE, "let nothing reduce over dimension 0")(
    after=lambda self, output, state: (output - output.mean(0), state - state.mean(0))
)
broken("Normalises", ALONE, "as batch normalisation does")(
    norm=lambda: nn.BatchNorm1d(4), after=lambda self, output, state: (self.norm(state), state)
)
broken("OtherForward", REPEATED, "`forward` differs from `step`")(
    forward=lambda read, *given: (2 * read(*given)[0], read(*given)[1])
)
broken("ForwardGivesOne", AS_WIDE, "returned a tensor of [4, 6, 4]")(
    forward=lambda read, *given: read(*given)[0]
)
broken("ForwardGivesThree", AS_WIDE, "but returned a tuple of 3")(
    forward=lambda read, *given: (*read(*given), None)
)
broken("ForgetsLengths", "forward stops each row at its length", "must be zero")(
    forward=lambda read, xs, state, lengths: read(xs, state)
)
broken("ForgetsState", REPEATED, "`forward` differs from `step`")(
    forward=lambda read, xs, state, lengths: read(xs, None, lengths)
)
# a short sequence is read as if nothing had been before it
broken("ForgetsLater", "pieces are the whole", "in pieces")(
    forward=lambda read, xs, state, lengths: read(
        xs, None if xs.shape[1] in {1, 2} else state, lengths
    )
)
broken("WiderState", SAME_SHAPE, "the state float32 [4, 8], but")(
    before=lambda self, state: state[:, : self.output_size],
    after=lambda self, output, state: (output, torch.cat([state, state], 1)),
)
broken("OtherKindOfState", SAME_SHAPE, "the state (float32 [4, 4]), but")(
    before=lambda self, state: state[0] if isinstance(state, tuple) else state,
    after=lambda self, output, state: (output, (state,)),
)
broken("ListOfState", RETURNS_TWO, "has a list in it")(
    initial=lambda state: [state], before=lambda self, state: state[0]
)
broken("DictOfState", RETURNS_TWO, "has a dict in it")(initial=lambda state: {"h": state})
broken("FixedBatch", RETURNS_TWO, "state tensor of [32, 4]")(initial=lambda s: s.new_zeros(32, 4))
broken("StateFirst", RETURNS_TWO, "must be [4, 4], but is (float32 [4, 4])")(
    initial=lambda state: (state,),
    before=lambda self, state: state[0],
    after=lambda self, output, state: ((state,), output),
)
broken("WrongOutputSize", AS_WIDE, "must be [4, 4], but is float32 [4, 5]")(
    more=lambda: nn.Linear(4, 5), after=lambda self, output, state: (self.more(output), state)
)
broken("NotANumber", FINITE, "the output of `step` has NaN for small inputs")(
    after=lambda self, output, state: ((output - 2).sqrt(), state)
)
ReturnsNone = broken("ReturnsNone", RETURNS_TWO, "but returned None; end it with")(
    after=lambda self, output, state: None
)
broken("ReturnsOne", RETURNS_TWO, "but returned float32 [4, 4]; end it with")(
    after=lambda self, output, state: output
)
Draws = broken("Draws", TWICE, "draw nothing at random unless")(
    after=lambda self, output, state: (output + torch.rand_like(output), state)
)
broken("DropsOutAlways", TWICE, "draw nothing at random unless")(
    after=lambda self, output, state: (nn.functional.dropout(output, 0.5), state)
)
broken("Detaches", RIGHT, "look for .detach()")(before=lambda self, state: state.detach())
broken("WrongGradient", RIGHT, "are not those of finite differences")(
    after=lambda self, output, state: (output * output.detach(), state)
)
broken("Unused", REACH, "no gradient reaches extra.weight")(extra=lambda: nn.Linear(3, 3))
broken("OnTheCpu", DEVICE, "the state from `initial_state` is on cpu")(
    initial=lambda state: torch.zeros(state.shape)
)
broken("OnlyFloat32", DEVICE, "weight.new_zeros")(
    initial=lambda state: torch.zeros(state.shape),
    before=lambda self, state: state.mm(torch.eye(self.output_size)),
)
broken("MixesDevices", DEVICE, "test_cell.py:")(
    after=lambda self, output, state: (output * torch.linspace(1, 2, 4).to(output.dtype), state)
)
broken("AlwaysSingle", FLOAT64, "is torch.float32 where the weights are")(
    initial=lambda state: state.float()
)
broken("AlwaysDouble", FLOAT64, "is torch.float64 where the weights are")(
    initial=lambda state: state.double(),
    before=lambda self, state: state.to(self.map.weight.dtype),
    after=lambda self, output, state: (output, state.double()),
)
broken("PlainList", REGISTERED, "`self.hidden` of PlainList holds a tensor")(
    hidden=lambda: [torch.randn(4)],
    after=lambda self, output, state: (output * self.hidden[0].to(output.dtype), state),
)
broken("PlainConstant", REGISTERED, 'self.register_buffer("decay", ...)')(
    decay=lambda: torch.full((4,), 0.5), before=lambda self, state: state * self.decay.to(state)
)
broken("ListOfLayers", REGISTERED, "make it an nn.ModuleList")(
    more=lambda: [nn.Linear(4, 4)],
    after=lambda self, output, state: (self.more[0].to(output.dtype)(output), state),
)
broken("DictOfParameters", REGISTERED, "make it an nn.ParameterDict")(
    scales=lambda: {"output": nn.Parameter(torch.ones(4))}
)


@breaks(BUILT, "set self.output_size in the constructor")
class NoOutputSize(Elman):
    def __init__(self, input_size):
        super().__init__(input_size)
        del self.output_size


@breaks(UNCHANGED, "make a new tensor")
class WritesIntoState(Elman):
    def step(self, x, state):
        output, _ = super().step(x, state)
        state.copy_(output)
        return output, output


@breaks(UNCHANGED, "no `+=`")
class AddsInPlace(Elman):
    def step(self, x, state):
        state += super().step(x, state)[0]
        return state, state


@breaks("no state is the initial state", "begin with `initial_state`")
class KeepsItElsewhere(Elman):
    seen = 0

    def initial_state(self, batch_size):
        self.seen = 0
        return super().initial_state(batch_size)

    def forward(self, xs, state=None, lengths=None):
        if state is None:
            state = self.initial_state(len(xs))
        else:
            self.seen = 1
        return super().forward(xs, state, lengths)

    def step(self, x, state):
        output, state = super().step(x, state)
        return output + self.seen, state


@breaks("a row of its table is an input", "the step of `tabulated` makes of a row of the table")
class OtherTable(Elman):
    def tabulated(self, inputs):
        return 2 * inputs, self.step


SUMMARY = "a summary makes a state"


@breaks(SUMMARY, "the `summary` of what `state_from` made is not")
class OtherState(Elman):
    def state_from(self, summary):
        return self.initial_state(len(summary))


@breaks(SUMMARY, "of as many rows as `summary: [batch, n]` has")
class OneRowOfState(Elman):
    def state_from(self, summary):
        return super().state_from(summary)[:, 0]


@breaks(RETURNS_TWO, "RuntimeError: not today (")
class Raises(Elman):
    def step(self, x, state):
        raise RuntimeError("not today")


@breaks(BUILT, "NoCell is no Cell: it must extend seqgen.cells.Cell")
class NoCell:
    def __init__(self, input_size):
        self.output_size = 4

    def to(self, dtype):
        return self

    def eval(self):
        return self


@breaks(BUILT, "NoSuper.__init__ does not call super().__init__()")
class NoSuper(Elman):
    def __init__(self, input_size):
        self.output_size = 4
        self.map = nn.Linear(input_size + 4, 4)


@breaks(BUILT, "NoSuperNorLayer.__init__ does not call super()")
class NoSuperNorLayer(Elman):
    def __init__(self, input_size):
        self.output_size = 4


@breaks(BUILT, "make super().__init__() the first line")
class LateSuper(Elman):
    def __init__(self, input_size):
        self.more = nn.Linear(4, 4)
        super().__init__(input_size)


@breaks(BUILT, "NoSuper.__init__ does not call super().__init__()")
class Below(NoSuper):
    """Its own constructor is right, and that of its base is not."""

    def __init__(self, input_size):
        super().__init__(input_size)


class Gate(nn.Module):
    def __init__(self):
        self.map = nn.Linear(4, 4)


broken("NoSuperInside", BUILT, "Gate.__init__ does not call super().__init__()")(gate=Gate)


@breaks(BUILT, "NoStep does not define `step`")
class NoStep(Cell):
    def initial_state(self, batch_size):
        return torch.zeros(batch_size, 4)


@breaks(RETURNS_TWO, "`initial_state(batch_size)`")
class NoBatchSize(Elman):
    def initial_state(self):
        return self.map.weight.new_zeros(1, 4)


@breaks(BUILT, "its options, which are the parameters of its constructor")
class OtherOptions(Elman):
    def __init__(self, input_size, **options):
        super().__init__(input_size, options["hidden_size"])


@pytest.mark.parametrize("name", cells.names())
def test_every_registered_cell_keeps_them(name, small):
    report = check_cell(small(cells, name))
    report.require()
    assert report.part == f"cells.{name}"
    assert {each.outcome for each in report.findings} <= {"kept", "not tried"}


def test_a_class_will_do_and_the_size_of_its_input_may_be_said():
    report = check_cell(Elman, hidden_size=3, input_size=1)
    report.require()
    assert [each.law for each in report.findings] == [law.name for law in CELL_LAWS]
    assert report.part == "Elman"


@pytest.mark.parametrize(("cell", "law", "says"), BREACHES)
def test_a_breach_is_reported_for_what_it_is(cell, law, says):
    report = check_cell(cell)
    first, *others = report.broken
    assert (first.law, len(others)) == (law, 0), report.broken
    assert says in first.says
    assert len(report.findings) == len(CELL_LAWS)
    with pytest.raises(AssertionError, match=r"breaks \d+ laws?\n"):
        report.require()


def test_what_needs_a_broken_law_is_not_tried():
    report = check_cell(ReturnsNone)
    outcomes = [each.outcome for each in report.findings]
    assert outcomes == ["kept", "broken"] + ["not tried"] * (len(CELL_LAWS) - 2)
    assert report.findings[2].says == "blocked by: a step returns an output and a state"


def test_a_device_of_shapes_alone_is_no_breach():
    asks = elman("Asks", before=lambda self, state: state * (1 if bool(state.sum() < 1e9) else 2))
    others = [each for each in check_cell(asks).findings if each.outcome != "kept"]
    assert [(each.law, each.outcome) for each in others] == [
        (DEVICE, "not tried"), ("the fast route gives what the loop gives", "not tried")
    ]  # fmt: skip
    assert "it needs numbers, not only shapes" in others[0].says
    assert "a `forward` of its own" in others[1].says


def test_outside_of_torch_there_is_no_gradient():
    def leave(self, output, state):
        return (torch.from_numpy(output.detach().numpy()),) * 2

    assert [each.law for each in check_cell(elman("Leaves", after=leave)).broken] == [DEVICE, REACH]


def test_it_leaves_the_random_state_alone():
    before = torch.get_rng_state()
    check_cell(Draws)
    assert torch.equal(before, torch.get_rng_state())


def test_wrong_names_and_options_are_value_errors():
    with pytest.raises(ValueError, match="no cell named 'lsmt'; did you mean 'lstm'"):
        check_cell("lsmt")
    with pytest.raises(ValueError, match="not an option of cell 'lstm'"):
        check_cell("lstm", hiden_size=3)
