"""Batching: jobs that are there at the same time are decoded together, each as it would be alone.

Jobs whose decoder goes token by token share the steps of their model: the rows of a new job join
those that run at the next step, and leave one by one as they end. Jobs whose decoder compares whole
texts wait for the search before them, and those that ask for the same are searched together.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch

from seqgen import decoders
from seqgen.decoders import Start, Stepper
from seqgen.evaluate import batches_by_length
from seqgen.models import Generative
from seqgen.serving.jobs import Ended, Job, Row, Rows
from seqgen.state import reorder

TABLED = 1 << 30
"""How many tokens a server reads: so many that tables for all steps are worth it."""


class BusyError(Exception):
    """There are too many jobs that wait."""


@dataclass
class Batcher:
    """Decodes jobs in two threads: one takes steps, the other one searches.

    Up to `rows` outputs grow at once, and up to `queue` jobs wait. `submit` and `close` are for
    other threads.
    """

    rows: int
    queue: int

    def __post_init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._to_search: deque[Job] = deque()
        self._running: dict[Hashable, Rows] = {}
        self._closed = False
        self._most_threads = torch.get_num_threads()
        self._threads = [
            threading.Thread(target=work, name=f"seqgen {work.__name__}", daemon=True)
            for work in (self._take_steps, self._search)
        ]

    def start(self) -> None:
        """Begin to work."""
        for each in self._threads:
            each.start()

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return len(self._waiting) + len(self._to_search)

    @property
    def running(self) -> int:
        """How many outputs grow."""
        return sum(len(each.rows) for each in [*self._running.values()])

    def submit(self, job: Job) -> None:
        """Decode a job as soon as there is room. Raises BusyError."""
        with self._changed:
            if self.waiting >= self.queue:
                raise BusyError
            (self._waiting if job.decoder.streams else self._to_search).append(job)
            self._changed.notify_all()

    def close(self) -> None:
        """Drop what waits and runs, and end the threads; a search is not waited for."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for each in self._threads:
            if each.is_alive():
                each.join(timeout=1.0)

    def _take_steps(self) -> None:
        with torch.inference_mode():
            while True:
                with self._changed:
                    while not (self._waiting or self._running or self._closed):
                        self._changed.wait()
                    if self._closed:
                        return
                    jobs = self._admitted()
                if jobs:
                    self._begin(jobs)
                for key, each in [*self._running.items()]:
                    try:
                        each.step()
                    except Exception as error:  # a part's own: its jobs say what it was
                        for row in each.rows:
                            row.job.fail(error)
                        each.rows = []
                    if not each.rows:
                        del self._running[key]

    def _admitted(self) -> list[Job]:
        """The jobs that wait, as far as there is room."""
        room, jobs = self.rows - self.running, list[Job]()
        while self._waiting and (job := self._waiting[0]).left <= room:
            self._waiting.popleft()
            if _still_wanted(job):
                jobs.append(job)
                room -= job.left
        return jobs

    def _begin(self, jobs: Sequence[Job]) -> None:
        """Let the rows of jobs join those that run."""
        torch.set_num_threads(self._most_threads)  # from which steppers take what they need
        together: dict[Hashable, list[Job]] = defaultdict(list)
        for job in jobs:
            built = job.run.built
            shared = (id(built.model), built.recipe.generation.replace_unknown)
            together[id(job) if job.decoder.constraints else shared].append(job)
        for key, own in together.items():
            try:
                self._join(key, own)
            except Exception as error:  # such as of a prompt, which a plugin refuses to read
                if len(own) == 1:
                    own[0].fail(error)
                else:
                    for job in own:
                        self._begin([job])

    def _join(self, key: Hashable, jobs: Sequence[Job]) -> None:
        """Jobs without constraints, or a single one with them."""
        [job, *_] = jobs
        if job.decoder.constraints:
            stepper, started = _guided(job)
            self._running[key] = Rows(stepper)
            self._running[key].join(*started)
            return
        every = [*_started(jobs, self.rows)]  # all of them, or none joins
        if key not in self._running:
            self._running[key] = Rows(job.generator.stepper(TABLED))
        for each in every:
            self._running[key].join(*each)

    def _search(self) -> None:
        while True:
            with self._changed:
                while not (self._to_search or self._closed):
                    self._changed.wait()
                if self._closed:
                    return
                first = self._to_search.popleft()
                same = [each for each in self._to_search if each.asked == first.asked]
                same = same[: self.rows]
                for each in same:
                    self._to_search.remove(each)
            if jobs := [each for each in (first, *same) if _still_wanted(each)]:
                try:
                    _search_together(jobs)
                except Exception as error:
                    for job in jobs:
                        job.fail(error)


def _started(jobs: Sequence[Job], most: int) -> Iterator[tuple[list[Row], Start]]:
    """The rows of jobs without constraints, prompts of similar length together."""
    asked = [(job, number) for job in jobs for number in range(len(job.prompts))]
    sizes = [len(job.prompts[number]) for job, number in asked]
    for places in batches_by_length(sizes, most):
        some = [asked[place] for place in places]
        batch = jobs[0].generator.batch([job.prompts[number] for job, number in some])
        start = cast(Generative, jobs[0].run.built.model).start(batch)
        rows, index = list[Row](), list[int]()
        for at, (job, number) in enumerate(some):
            limits = job.generator.limits(batch, job.max_length)
            own = job.rows(number, int(limits.lengths(start)[at]), limits)
            rows += own
            index += [at] * len(own)
        yield rows, _taken(start, index)


def _guided(job: Job) -> tuple[Stepper, tuple[list[Row], Start]]:
    """The rows of a job with constraints, and what takes their steps."""
    generator, constraints = job.generator, job.decoder.constraints
    batch = generator.batch(job.prompts)
    limits = generator.limits(batch, job.max_length)
    stepper, start, search_limits = generator.begin(job.prompts, batch, limits, constraints)
    short = decoders.unmet(constraints, start, limits, batch).tolist()
    rows = [
        row
        for number, length in enumerate(limits.lengths(start).tolist())
        for row in job.rows(number, length, search_limits, satisfied=not short[number])
    ]
    index = [number for number in range(len(job.prompts)) for _ in range(job.samples)]
    return stepper, (rows, _taken(start, index))


def _taken(start: Start, index: Sequence[int]) -> Start:
    """The rows of `start` at `index`."""
    places = start.tokens.new_tensor(index)
    return reorder(start._replace(sequence_ids=None), places)


def _still_wanted(job: Job) -> bool:
    if time.monotonic() > job.waits_until:
        job.fail(TimeoutError("it waited too long"))
    return not job.gone


def _search_together(jobs: Sequence[Job]) -> None:
    first = jobs[0]
    prompts = [text for job in jobs for text in job.prompts]
    found = iter(
        first.run.continuations(
            prompts, first.decoder, first.max_length, first.samples, [0] * len(prompts)
        )
    )
    for job in jobs:
        for number in range(len(job.prompts)):
            for each in next(found):
                if not job.gone:
                    job.notify(Ended(number * job.samples, each, []))
        if not job.gone:
            job.notify(None)
