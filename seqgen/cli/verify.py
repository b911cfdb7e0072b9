"""The verb `verify-resume`: does stopping and going on change anything of a run?"""

from __future__ import annotations

from typing import Annotated

import typer

from seqgen.cli.completion import recipes
from seqgen.cli.plugin_files import number
from seqgen.errors import PluginError


def verify_resume(
    recipe: Annotated[
        str, typer.Argument(help="A recipe's path or bare name.", autocompletion=recipes)
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="e.g. train.lr=3e-3")
    ] = None,
    at: Annotated[
        list[int] | None,
        typer.Option(parser=number("Size"), metavar="STEP", help="Stop after it; repeatable."),
    ] = None,
) -> None:
    """Prove that stopping a run and going on gives the run that never stopped, plugins included.

    A few steps are trained twice: at one go, and stopped by a signal after some steps, each time
    going on in another process. Log, weights, training state, samples and results must be the same
    to the last bit; otherwise the exit code is 8. All is done in a temporary folder.
    """
    from seqgen.cli.terminal import Terminal
    from seqgen.verify import verify_resume as prove

    console = Terminal(highlight=False, soft_wrap=True)
    console.say(f"{recipe}: a few steps in place of its budget, twice")
    proof = prove(recipe, overrides or [], at or [], lambda doing: console.say(f"  {doing} ..."))
    stops = ", ".join(map(str, proof.stops))
    console.say(f"{proof.steps} steps, stopped after {stops}; an epoch has {proof.epoch} steps")
    if proof.epoch >= proof.steps:
        console.say(f"  note: no epoch came to its end; --at {proof.epoch} goes there")
    width = max(len(each.what) for each in proof.compared)
    for each in proof.compared:
        outcome = f"differs: {each.difference}" if each.difference else "the same"
        console.say(f"  {each.what:{width}}  {each.size:>12}  {outcome}")
    if proof.first is not None:
        first = proof.first
        raise PluginError(f"{recipe}: stopping changes the run: {first.what}: {first.difference}")
