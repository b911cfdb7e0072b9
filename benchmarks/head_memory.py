"""How much memory and time the loss of a large vocabulary takes, against plain cross-entropy.

    .venv/bin/python benchmarks/head_memory.py [--words 33278] [--tokens 4096] [--hidden 256]

Each way runs in a process of its own: loss and gradients of the head `linear`. Memory is the peak
of the process (the system's count) above the peak before the first loss, when weights and inputs
were there. The speed is the ratio of the fewest seconds among rounds taken in turn, by the clock:
the machine should be idle. Exits with 1 where a bar is missed: a quarter of the memory, 0.9 of the
speed, loss and gradients the same within 1e-5.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection

import torch
from torch import Tensor
from torch.nn import functional

from seqgen.heads import LinearHead

MEMORY_BAR, SPEED_BAR, EXACT = 0.25, 0.9, 1e-5


@dataclass(frozen=True)
class Sizes:
    """What is tried: the vocabulary, the tokens of a batch, the hidden vector and the threads."""

    words: int
    tokens: int
    hidden: int
    threads: int


def plain(head: LinearHead, hidden: Tensor, targets: Tensor) -> Tensor:
    """The loss as one writes it by hand."""
    return functional.cross_entropy(head.project(hidden), targets)


def thrifty(head: LinearHead, hidden: Tensor, targets: Tensor) -> Tensor:
    """The head's own."""
    return head.loss(hidden, targets).mean()


def parts(sizes: Sizes) -> tuple[LinearHead, Tensor, Tensor]:
    """The head, hidden vectors and targets, always the same ones."""
    torch.manual_seed(1)
    torch.set_num_threads(sizes.threads)
    head = LinearHead(sizes.hidden, sizes.words)
    hidden = torch.randn(sizes.tokens, sizes.hidden, requires_grad=True)
    return head, hidden, torch.randint(sizes.words, (sizes.tokens,))


def work(pipe: Connection, way: Callable[..., Tensor], sizes: Sizes) -> None:
    """In a child: send the peak in MB, then for each True received the seconds of a round."""
    plain(LinearHead(8, 8), torch.randn(8, 8), torch.arange(8)).backward()
    head, hidden, targets = parts(sizes)
    before = peak()
    way(head, hidden, targets).backward()
    pipe.send(peak() - before)
    while pipe.recv():
        for each in (hidden, *head.parameters()):
            each.grad = None
        start = time.perf_counter()
        way(head, hidden, targets).backward()
        pipe.send(time.perf_counter() - start)


def peak() -> float:
    """The most memory that this process has had at once, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Both ways, the table, and whether the bars are held."""
    options = _options()
    sizes = Sizes(options.words, options.tokens, options.hidden, options.threads)
    # The children first: a process starts at the peak of the one that started it.
    memory, seconds = measure((plain, thrifty), sizes, options.rounds)
    exact = largest_difference(sizes)
    for name, megabytes, times in zip(("plain", "head"), memory, seconds, strict=True):
        print(f"{name:6} {megabytes:8.0f} MB   {min(times):7.2f} s")
    of_memory = memory[1] / memory[0]
    of_speed = min(seconds[0]) / min(seconds[1])
    print(f"memory {of_memory:.3f} of plain (bar {MEMORY_BAR})")
    print(f"speed  {of_speed:.2f} of plain (bar {SPEED_BAR})")
    print(f"largest difference of loss and gradients {exact:.1e} (bar {EXACT})")
    sys.exit(not (of_memory <= MEMORY_BAR and of_speed >= SPEED_BAR and exact <= EXACT))


def measure(
    ways: tuple[Callable[..., Tensor], ...], sizes: Sizes, rounds: int
) -> tuple[list[float], list[list[float]]]:
    """Megabytes of each way, and seconds of each way and round, taken in turn."""
    spawn = multiprocessing.get_context("spawn")
    pipes, children, memory = [], [], []
    for way in ways:
        pipe, other = spawn.Pipe()
        children.append(spawn.Process(target=work, args=(other, way, sizes)))
        children[-1].start()
        memory.append(pipe.recv())
        pipes.append(pipe)
    seconds: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds):
        for pipe, times in zip(pipes, seconds, strict=True):
            pipe.send(True)
            times.append(pipe.recv())
    for pipe, child in zip(pipes, children, strict=True):
        pipe.send(False)
        child.join()
    return memory, seconds


def largest_difference(sizes: Sizes) -> float:
    """Between the losses and all gradients of the mean loss, both ways."""
    head, hidden, targets = parts(sizes)
    leaves = [hidden, *head.parameters()]
    found = []
    for way in (plain, thrifty):
        loss = way(head, hidden, targets)
        found.append([loss.detach(), *torch.autograd.grad(loss, leaves)])
        del loss
    return max(float((one - two).abs().max()) for one, two in zip(*found, strict=True))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--words", type=int, default=33278)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
