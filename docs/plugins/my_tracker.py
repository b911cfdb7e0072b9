"""The tracker `my_tracker`: the curves of a run as a table for spreadsheets."""

import csv

from seqgen.trackers import Tracker, trackers


@trackers.register("my_tracker")
class MyTracker(Tracker):
    """All numbers of a run in `curves.csv`: the step, the name, the value."""

    def __init__(self, separator: str = ",") -> None:
        self.separator = separator

    def begin(self, name, folder, options):
        self.path = folder / "curves.csv"

    def log(self, step, scalars):
        with self.path.open("a", newline="", encoding="utf-8") as file:
            rows = csv.writer(file, delimiter=self.separator)
            rows.writerows((step, *each) for each in scalars.items())

    def end(self, result):
        self.log("end", result or {})
