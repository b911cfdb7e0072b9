"""What a run shows in the terminal: a bar there, plain lines on a pipe."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

from seqgen.cli.advance import Advance
from seqgen.cli.terminal import Terminal
from seqgen.reports import count, duration, figure

Event = dict[str, Any]


class Display:
    """A context that shows the events of a run as they come."""

    def __init__(self, *, to_stderr: bool = False) -> None:
        self.console = Terminal(stderr=to_stderr, highlight=False, soft_wrap=True)
        self._line = self.console.say
        self._advance = Advance(self.console)

    def __enter__(self) -> Display:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._advance.end()

    def announce(self, plan: dict[str, Any]) -> None:
        """Say what the run will do."""
        parts = [
            f"{name} {count(plan[f'{name}_tokens'])}"
            for name in ("train", "valid", "test")
            if f"{name}_tokens" in plan
        ]
        threads = f"{plan['threads']} thread{'s' if plan['threads'] > 1 else ''}"
        about = f": {plan['description']}" if plan["description"] else ""
        self._line(f"{plan['recipe']}{about}")
        self._line(f"  model   {count(plan['parameters'])} parameters, {plan['vocab_size']} tokens")
        self._line(f"  data    {', '.join(plan['data'])}: {', '.join(parts)} tokens")
        for remark in plan["remarks"]:
            self._line(f"  note    {remark}")
        self._line(f"  machine {plan['device']}, {threads}, {plan['precision']}")
        self._line(f"  budget  {plan['budget']}")
        if plan["resumed_at"] is not None:
            self._line(f"  resumed at step {plan['resumed_at']}")
        self._advance.begin()

    def event(self, event: Event) -> None:
        """Show one event of training."""
        if event["event"] == "train":
            self._train(event)
        elif event["event"] == "valid":
            self._valid(event)

    def conclude(self, result: dict[str, Any], folder: Path) -> None:
        """The figures at the end, and where everything lies."""
        self._advance.end()
        train = result["train"]
        self._line(
            f"trained {count(train['steps'])} steps in {duration(train['seconds'])}, "
            f"{count(train['tokens_per_second'])} tokens/s; {result['stopped']}"
        )
        for name in ("valid", "test"):
            if name in result:
                figures = result[name]
                self._line(
                    f"  {name:5} {figure(figures['bits_per_char'])} bits/char, "
                    f"{figure(figures['nats_per_token'])} nats/token, perplexity "
                    f"{figure(figures['perplexity'])}, accuracy {figures['accuracy']:.1%}"
                )
                if "metrics" in figures:
                    self._line(f"        {_metrics(figures)} of {count(figures['examples'])}")
        self._line(f"report: {folder / 'report.html'}   samples: {folder / 'samples.txt'}")

    def _train(self, event: Event) -> None:
        progress, seconds = event["progress"], event["seconds"]
        left = seconds * (1 - progress) / progress if progress else None
        text = (
            f"step {count(event['step'])}  loss {figure(event['loss'])}  "
            f"{count(event['tokens_per_second'])} tokens/s  {duration(left)} left"
        )
        self._advance.show(progress, text)

    def _valid(self, event: Event) -> None:
        mark = "  best" if event["best"] else ""
        self._line(
            f"step {count(event['step'])}  valid {figure(event['nats_per_token'])} nats/token, "
            f"{figure(event['bits_per_char'])} bits/char{_metrics(event, ', ')}{mark}"
        )
        for sample in event["samples"]:
            between = "" if sample["continues"] else " \u2192 "
            text = f"{sample['prompt']}{between}{sample['text']}".replace("\n", "\u21b5")
            room = max(20, self.console.width - 4) if self.console.is_terminal else 100
            self._line(f"  {self.console.shown(text)[:room]}", style="dim")


def _metrics(figures: dict[str, Any], before: str = "") -> str:
    """What the recipe's metrics say, with `before` in front; nothing where there are none."""
    found = figures.get("metrics", {}).items()
    text = ", ".join(f"{name.replace('_', ' ')} {figure(value)}" for name, value in found)
    return f"{before}{text}" if text else ""
