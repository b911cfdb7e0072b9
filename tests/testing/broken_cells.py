"""Cells that break one law each, for the checks to find."""

import torch
from torch import nn

from seqgen.cells import Cell


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


def elman(name, *, before=None, after=None, initial=None, forward=None, extra=None):
    """An Elman cell of that name in which something is changed: `before` a step its state,
    `after` it what it returned, the `initial` state, what `forward` reads or returns, or what the
    constructor makes (`extra`, by names)."""

    class Broken(Elman):
        def __init__(self, input_size):
            super().__init__(input_size)
            for key, make in (extra or {}).items():
                setattr(self, key, make())

        def initial_state(self, batch_size):
            state = super().initial_state(batch_size)
            return initial(self, state) if initial else state

        def step(self, x, state):
            found = super().step(x, before(self, state) if before else state)
            return after(self, *found) if after else found

        def forward(self, xs, state=None, lengths=None):
            read = super().forward
            return forward(read, xs, state, lengths) if forward else read(xs, state, lengths)

    Broken.__name__ = Broken.__qualname__ = name
    return Broken


BatchSecond = elman(
    "BatchSecond",
    initial=lambda self, state: state.unsqueeze(0),
    before=lambda self, state: state[0],
    after=lambda self, output, state: (output, state.unsqueeze(0)),
)
MixesRows = elman(
    "MixesRows",
    after=lambda self, output, state: (output - output.mean(0), state - state.mean(0)),
)
Normalises = elman(
    "Normalises",
    extra={"norm": lambda: nn.BatchNorm1d(4)},
    after=lambda self, output, state: (self.norm(state), state),
)
OtherForward = elman(
    "OtherForward", forward=lambda read, *given: (2 * read(*given)[0], read(*given)[1])
)
ForwardGivesOne = elman("ForwardGivesOne", forward=lambda read, *given: read(*given)[0])
ForwardGivesThree = elman("ForwardGivesThree", forward=lambda read, *given: (*read(*given), None))
ForgetsLengths = elman("ForgetsLengths", forward=lambda read, xs, state, lengths: read(xs, state))
ForgetsState = elman(
    "ForgetsState", forward=lambda read, xs, state, lengths: read(xs, None, lengths)
)
ForgetsLater = elman(  # a short sequence is read as if nothing had been before it
    "ForgetsLater",
    forward=lambda read, xs, state, lengths: read(
        xs, None if xs.shape[1] in {1, 2} else state, lengths
    ),
)
WiderState = elman(
    "WiderState",
    before=lambda self, state: state[:, : self.output_size],
    after=lambda self, output, state: (output, torch.cat([state, state], 1)),
)
OtherKindOfState = elman(
    "OtherKindOfState",
    before=lambda self, state: state[0] if isinstance(state, tuple) else state,
    after=lambda self, output, state: (output, (state,)),
)
ListOfState = elman(
    "ListOfState", initial=lambda self, state: [state], before=lambda self, state: state[0]
)
DictOfState = elman("DictOfState", initial=lambda self, state: {"h": state})
StateFirst = elman(
    "StateFirst",
    initial=lambda self, state: (state,),
    before=lambda self, state: state[0],
    after=lambda self, output, state: ((state,), output),
)
WrongOutputSize = elman(
    "WrongOutputSize",
    extra={"more": lambda: nn.Linear(4, 5)},
    after=lambda self, output, state: (self.more(output), state),
)
NotANumber = elman("NotANumber", after=lambda self, output, state: ((output - 2).sqrt(), state))
ReturnsNone = elman("ReturnsNone", after=lambda self, output, state: None)
ReturnsOne = elman("ReturnsOne", after=lambda self, output, state: output)
Draws = elman("Draws", after=lambda self, output, state: (output + torch.rand_like(output), state))
DropsOutAlways = elman(
    "DropsOutAlways",
    after=lambda self, output, state: (nn.functional.dropout(output, 0.5), state),
)
Detaches = elman("Detaches", before=lambda self, state: state.detach())
WrongGradient = elman(
    "WrongGradient", after=lambda self, output, state: (output * output.detach(), state)
)
Unused = elman("Unused", extra={"extra": lambda: nn.Linear(3, 3)})
OnTheCpu = elman("OnTheCpu", initial=lambda self, state: torch.zeros(state.shape))
OnlyFloat32 = elman(
    "OnlyFloat32",
    initial=lambda self, state: torch.zeros(state.shape),
    before=lambda self, state: state.mm(torch.eye(self.output_size)),
)
AlwaysSingle = elman("AlwaysSingle", initial=lambda self, state: state.float())
AlwaysDouble = elman(
    "AlwaysDouble",
    initial=lambda self, state: state.double(),
    before=lambda self, state: state.to(self.map.weight.dtype),
    after=lambda self, output, state: (output, state.double()),
)
AsksForNumbers = elman(  # nothing is wrong; but where there are only shapes it cannot be tried
    "AsksForNumbers", before=lambda self, state: state * (1 if bool(state.sum() < 1e9) else 2)
)
PlainList = elman(
    "PlainList",
    extra={"hidden": lambda: [torch.randn(4)]},
    after=lambda self, output, state: (output * self.hidden[0].to(output.dtype), state),
)
PlainConstant = elman(
    "PlainConstant",
    extra={"decay": lambda: torch.full((4,), 0.5)},
    before=lambda self, state: state * self.decay.to(state),
)
ListOfLayers = elman(
    "ListOfLayers",
    extra={"more": lambda: [nn.Linear(4, 4)]},
    after=lambda self, output, state: (self.more[0].to(output.dtype)(output), state),
)
DictOfParameters = elman(
    "DictOfParameters", extra={"scales": lambda: {"output": nn.Parameter(torch.ones(4))}}
)


class BatchSecondLater(Elman):
    def step(self, x, state):
        state = state.T if state.shape[0] != len(x) else state
        output, state = super().step(x, state)
        return output, state.T


class NoOutputSize(Elman):
    def __init__(self, input_size):
        super().__init__(input_size)
        del self.output_size


class WritesIntoState(Elman):
    def step(self, x, state):
        output, _ = super().step(x, state)
        state.copy_(output)
        return output, output


class AddsInPlace(Elman):
    def step(self, x, state):
        state += super().step(x, state)[0]
        return state, state


class KeepsItElsewhere(Elman):
    def __init__(self, input_size):
        super().__init__(input_size)
        self.seen = 0

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


class Raises(Elman):
    def step(self, x, state):
        raise RuntimeError("not today")


class MixesDevices(Elman):
    def step(self, x, state):
        output, state = super().step(x, state)
        return output * torch.linspace(1, 2, self.output_size), state


class LeavesTorch(Elman):
    def step(self, x, state):
        output, _ = super().step(x, state)
        output = torch.from_numpy(output.detach().numpy())
        return output, output


class NoCell:
    def __init__(self, input_size):
        self.output_size = 4

    def to(self, dtype):
        return self

    def eval(self):
        return self


class NoSuper(Elman):
    def __init__(self, input_size):
        self.output_size = 4
        self.map = nn.Linear(input_size + 4, 4)


class NoSuperNorLayer(Elman):
    def __init__(self, input_size):
        self.output_size = 4


class LateSuper(Elman):
    def __init__(self, input_size):
        self.more = nn.Linear(4, 4)
        super().__init__(input_size)


class Below(NoSuper):
    """Its own constructor is right, and that of its base is not."""

    def __init__(self, input_size):
        super().__init__(input_size)


class Gate(nn.Module):
    def __init__(self):
        self.map = nn.Linear(4, 4)


class NoSuperInside(Elman):
    def __init__(self, input_size):
        super().__init__(input_size)
        self.gate = Gate()


class NoStep(Cell):
    def __init__(self, input_size):
        super().__init__()
        self.output_size = 4

    def initial_state(self, batch_size):
        return torch.zeros(batch_size, 4)

    def forward(self, xs, state=None, lengths=None):
        return xs, state


class FixedBatch(Elman):
    def initial_state(self, batch_size):
        return super().initial_state(32)


class NoBatchSize(Elman):
    def initial_state(self):
        return self.map.weight.new_zeros(1, 4)


class OtherOptions(Elman):
    def __init__(self, input_size, **options):
        super().__init__(input_size, options["hidden_size"])
