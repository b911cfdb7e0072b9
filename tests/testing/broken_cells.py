"""Cells that break one law each, for the checks to find."""

import torch

from seqgen.cells import Cell


class Elman(Cell):
    """Nothing is wrong with this one."""

    def __init__(self, input_size, hidden_size=4):
        super().__init__()
        self.output_size = hidden_size
        self.map = torch.nn.Linear(input_size + hidden_size, hidden_size)

    def initial_state(self, batch_size):
        return self.map.weight.new_zeros(batch_size, self.output_size)

    def step(self, x, state):
        state = torch.tanh(self.map(torch.cat([x, state], 1)))
        return state, state


class BatchSecond(Elman):
    def initial_state(self, batch_size):
        return self.map.weight.new_zeros(1, batch_size, self.output_size)

    def step(self, x, state):
        output, _ = super().step(x, state[0])
        return output, output.unsqueeze(0)


class BatchSecondLater(Elman):
    def step(self, x, state):
        state = state.T if state.shape[0] != len(x) else state
        output, state = super().step(x, state)
        return output, state.T


class MixesRows(Elman):
    def step(self, x, state):
        output, state = super().step(x, state)
        return output - output.mean(0), state - state.mean(0)


class Normalises(Elman):
    def __init__(self, input_size):
        super().__init__(input_size)
        self.norm = torch.nn.BatchNorm1d(4)

    def step(self, x, state):
        _, state = super().step(x, state)
        return self.norm(state), state


class OtherForward(Elman):
    def forward(self, xs, state=None, lengths=None):
        outputs, state = super().forward(xs, state, lengths)
        return 2 * outputs, state


class ForgetsLengths(Elman):
    def forward(self, xs, state=None, lengths=None):
        return super().forward(xs, state)


class ForgetsState(Elman):
    def forward(self, xs, state=None, lengths=None):
        return super().forward(xs, None, lengths)


class ForgetsLater(Elman):
    """A short sequence is read as if nothing had been before it."""

    def forward(self, xs, state=None, lengths=None):
        return super().forward(xs, None if xs.shape[1] in {1, 2} else state, lengths)


class WiderState(Elman):
    def step(self, x, state):
        output, state = super().step(x, state[:, : self.output_size])
        return output, torch.cat([state, state], 1)


class OtherKindOfState(Elman):
    def step(self, x, state):
        output, state = super().step(x, state[0] if isinstance(state, tuple) else state)
        return output, (state,)


class ListOfState(Elman):
    def initial_state(self, batch_size):
        return [super().initial_state(batch_size)]

    def step(self, x, state):
        return super().step(x, state[0])


class WrongOutputSize(Elman):
    def __init__(self, input_size):
        super().__init__(input_size)
        self.output_size = 4
        self.more = torch.nn.Linear(4, 5)

    def step(self, x, state):
        output, state = super().step(x, state)
        return self.more(output), state


class NoOutputSize(Elman):
    def __init__(self, input_size):
        super().__init__(input_size)
        del self.output_size


class NotANumber(Elman):
    def step(self, x, state):
        output, state = super().step(x, state)
        return (output - 2).sqrt(), state


class ReturnsNone(Elman):
    def step(self, x, state):
        super().step(x, state)


class ReturnsOne(Elman):
    def step(self, x, state):
        return super().step(x, state)[0]


class Draws(Elman):
    def step(self, x, state):
        output, state = super().step(x, state)
        return output + torch.rand_like(output), state


class WritesIntoState(Elman):
    def step(self, x, state):
        output, _ = super().step(x, state)
        state.copy_(output)
        return output, output


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


class Detaches(Elman):
    def step(self, x, state):
        return super().step(x, state.detach())


class Unused(Elman):
    def __init__(self, input_size):
        super().__init__(input_size)
        self.extra = torch.nn.Linear(3, 3)


class OnlyFloat32(Elman):
    def initial_state(self, batch_size):
        return torch.zeros(batch_size, self.output_size)

    def step(self, x, state):
        return super().step(x, state.mm(torch.eye(self.output_size)))


class WrongGradient(Elman):
    def step(self, x, state):
        output, state = super().step(x, state)
        return output * output.detach(), state


class PlainList(Elman):
    def __init__(self, input_size):
        super().__init__(input_size)
        self.hidden = [torch.randn(4)]

    def step(self, x, state):
        output, state = super().step(x, state)
        return output * self.hidden[0].to(output.dtype), state


class Raises(Elman):
    def step(self, x, state):
        raise RuntimeError("not today")


class NoCell:
    def __init__(self, input_size):
        self.output_size = 4

    def to(self, dtype):
        return self

    def eval(self):
        return self


class OnTheCpu(Elman):
    def initial_state(self, batch_size):
        return torch.zeros(batch_size, self.output_size)


class MixesDevices(Elman):
    def step(self, x, state):
        output, state = super().step(x, state)
        return output * torch.linspace(1, 2, self.output_size), state


class AsksForNumbers(Elman):
    """Nothing is wrong; but where there are only shapes it cannot be tried."""

    def step(self, x, state):
        return super().step(x, state * (1 if bool(state.sum() < 1e9) else 2))


class AlwaysSingle(Elman):
    def initial_state(self, batch_size):
        return super().initial_state(batch_size).float()


class AlwaysDouble(Elman):
    def initial_state(self, batch_size):
        return super().initial_state(batch_size).double()

    def step(self, x, state):
        output, state = super().step(x, state.to(x.dtype))
        return output, state.double()


class PlainConstant(Elman):
    def __init__(self, input_size):
        super().__init__(input_size)
        self.decay = torch.full((4,), 0.5)

    def step(self, x, state):
        return super().step(x, state * self.decay.to(state))


class ListOfLayers(Elman):
    def __init__(self, input_size):
        super().__init__(input_size)
        self.more = [torch.nn.Linear(4, 4)]

    def step(self, x, state):
        output, state = super().step(x, state)
        return self.more[0].to(output.dtype)(output), state


class DictOfParameters(Elman):
    def __init__(self, input_size):
        super().__init__(input_size)
        self.scales = {"output": torch.nn.Parameter(torch.ones(4))}


class AddsInPlace(Elman):
    def step(self, x, state):
        state += super().step(x, state)[0]
        return state, state


class NoSuper(Elman):
    def __init__(self, input_size):
        self.output_size = 4
        self.map = torch.nn.Linear(input_size + 4, 4)


class NoSuperNorLayer(Elman):
    def __init__(self, input_size):
        self.output_size = 4


class LateSuper(Elman):
    def __init__(self, input_size):
        self.more = torch.nn.Linear(4, 4)
        super().__init__(input_size)


class Below(NoSuper):
    """Its own constructor is right, and that of its base is not."""

    def __init__(self, input_size):
        super().__init__(input_size)


class Gate(torch.nn.Module):
    def __init__(self):
        self.map = torch.nn.Linear(4, 4)


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


class StateFirst(Elman):
    def initial_state(self, batch_size):
        return (super().initial_state(batch_size),)

    def step(self, x, state):
        output, state = super().step(x, state[0])
        return (state,), output


class DictOfState(Elman):
    def initial_state(self, batch_size):
        return {"h": super().initial_state(batch_size)}


class LeavesTorch(Elman):
    def step(self, x, state):
        output, _ = super().step(x, state)
        output = torch.from_numpy(output.detach().numpy())
        return output, output


class DropsOutAlways(Elman):
    def step(self, x, state):
        output, state = super().step(x, state)
        return torch.nn.functional.dropout(output, 0.5), state
