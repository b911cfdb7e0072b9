"""The laws of cells: every registered cell keeps them, and each broken one is found out."""

import importlib.util
from pathlib import Path

import pytest
import torch

from seqgen.cells import cells
from seqgen.testing import check_cell
from seqgen.testing.cell import CELL_LAWS

_place = Path(__file__).with_name("broken_cells.py")
_specification = importlib.util.spec_from_file_location("broken_cells", _place)
broken = importlib.util.module_from_spec(_specification)
_specification.loader.exec_module(broken)


@pytest.mark.parametrize("name", cells.names())
def test_every_registered_cell_keeps_them(name, small):
    report = check_cell(small(cells, name))
    report.require()
    assert report.part == f"cells.{name}"
    assert {each.outcome for each in report.findings} <= {"kept", "not tried"}


def test_a_class_will_do():
    report = check_cell(broken.Elman, hidden_size=3)
    report.require()
    assert [each.law for each in report.findings] == [law.name for law in CELL_LAWS]
    assert report.part == "Elman"


@pytest.mark.parametrize(
    ("cell", "law", "says"),
    [
        ("BatchSecond", "batch is dimension 0 of the state", "of [1, 4, 4]: batch must be"),
        ("BatchSecondLater", "batch is dimension 0 of the state", "`step` returned a state tensor"),
        ("MixesRows", "a row alone is the row in a batch", "let nothing reduce over dimension 0"),
        ("Normalises", "a row alone is the row in a batch", "as batch normalisation does"),
        ("OtherForward", "forward is the repeated step", "`forward` differs from `step`"),
        ("ForgetsLengths", "forward stops each row at its length", "must be zero"),
        ("ForgetsState", "forward is the repeated step", "`forward` differs from `step`"),
        ("ForgetsLater", "pieces are the whole", "in pieces"),
        ("WiderState", "the state keeps its shape", "the state float32 [4, 8], but"),
        ("OtherKindOfState", "the state keeps its shape", "the state (float32 [4, 4]), but"),
        ("ListOfState", "a step returns an output and a state", "has a list in it"),
        (
            "WrongOutputSize",
            "outputs are as wide as declared",
            "must be [4, 4], but is float32 [4, 5]",
        ),
        ("ForwardGivesOne", "outputs are as wide as declared", "returned a tensor of [4, 6, 4]"),
        ("ForwardGivesThree", "outputs are as wide as declared", "but returned a tuple of 3"),
        ("NoOutputSize", "is a cell", "set self.output_size in the constructor"),
        ("NotANumber", "all numbers are finite", "the output of `step` has NaN for small inputs"),
        ("ReturnsNone", "a step returns an output and a state", "but returned None; end it with"),
        (
            "ReturnsOne",
            "a step returns an output and a state",
            "but returned float32 [4, 4]; end it with",
        ),
        ("Draws", "the same twice in evaluation mode", "draw nothing at random unless"),
        ("WritesIntoState", "the given state is not written into", "make a new tensor"),
        ("KeepsItElsewhere", "no state is the initial state", "begin with `initial_state`"),
        ("Detaches", "gradients are right", "look for .detach()"),
        ("Unused", "gradients reach every parameter", "no gradient reaches extra.weight"),
        ("OnlyFloat32", "it works on any device", "weight.new_zeros"),
        ("WrongGradient", "gradients are right", "are not those of finite differences"),
        ("PlainList", "what it learns is registered", "`self.hidden` of PlainList holds a tensor"),
        ("Raises", "a step returns an output and a state", "RuntimeError: not today ("),
        ("NoCell", "is a cell", "NoCell is no Cell: it must extend seqgen.cells.Cell"),
        ("OnTheCpu", "it works on any device", "the state from `initial_state` is on cpu"),
        ("MixesDevices", "it works on any device", "broken_cells.py:"),
        ("AlwaysSingle", "it works in float64", "is torch.float32 where the weights are"),
        ("AlwaysDouble", "it works in float64", "is torch.float64 where the weights are"),
        ("PlainConstant", "what it learns is registered", 'self.register_buffer("decay", ...)'),
        ("ListOfLayers", "what it learns is registered", "make it an nn.ModuleList"),
        ("DictOfParameters", "what it learns is registered", "make it an nn.ParameterDict"),
        ("AddsInPlace", "the given state is not written into", "no `+=`"),
        ("NoSuper", "is a cell", "NoSuper.__init__ does not call super().__init__()"),
        ("NoSuperNorLayer", "is a cell", "NoSuperNorLayer.__init__ does not call super()"),
        ("LateSuper", "is a cell", "make super().__init__() the first line"),
        ("Below", "is a cell", "NoSuper.__init__ does not call super().__init__()"),
        ("NoSuperInside", "is a cell", "Gate.__init__ does not call super().__init__()"),
        ("NoStep", "is a cell", "NoStep does not define `step`"),
        ("FixedBatch", "a step returns an output and a state", "a state tensor of [32, 8]"),
        ("NoBatchSize", "a step returns an output and a state", "`initial_state(batch_size)`"),
        ("OtherOptions", "is a cell", "its options, which are the parameters of its constructor"),
        (
            "StateFirst",
            "a step returns an output and a state",
            "must be [4, 4], but is (float32 [4, 4])",
        ),
        ("DictOfState", "a step returns an output and a state", "has a dict in it"),
        ("DropsOutAlways", "the same twice in evaluation mode", "draw nothing at random unless"),
    ],
)
def test_a_breach_is_reported_for_what_it_is(cell, law, says):
    report = check_cell(getattr(broken, cell))
    first, *others = report.broken
    assert (first.law, len(others)) == (law, 0), report.broken
    assert says in first.says
    assert len(report.findings) == len(CELL_LAWS)
    with pytest.raises(AssertionError, match=r"breaks \d+ laws?\n"):
        report.require()


def test_what_needs_a_broken_law_is_not_tried():
    report = check_cell(broken.ReturnsNone)
    outcomes = [each.outcome for each in report.findings]
    assert outcomes == ["kept", "broken"] + ["not tried"] * (len(CELL_LAWS) - 2)
    assert report.findings[2].says == "first mend: a step returns an output and a state"


def test_a_device_of_shapes_alone_is_no_breach():
    [other] = [x for x in check_cell(broken.AsksForNumbers).findings if x.outcome != "kept"]
    assert (other.law, other.outcome) == ("it works on any device", "not tried")
    assert "it needs numbers, not only shapes" in other.says


def test_outside_of_torch_there_is_no_gradient():
    laws = [each.law for each in check_cell(broken.LeavesTorch).broken]
    assert laws == ["it works on any device", "gradients reach every parameter"]


def test_it_leaves_the_random_state_alone():
    before = torch.get_rng_state()
    check_cell(broken.Draws)
    assert torch.equal(before, torch.get_rng_state())


def test_wrong_names_and_options_are_value_errors():
    with pytest.raises(ValueError, match="no cell named 'lsmt'; did you mean 'lstm'"):
        check_cell("lsmt")
    with pytest.raises(ValueError, match="not an option of cell 'lstm'"):
        check_cell("lstm", hiden_size=3)


def test_the_size_of_the_input_may_be_said():
    check_cell("lstm_cell", hidden_size=2, input_size=1).require()
