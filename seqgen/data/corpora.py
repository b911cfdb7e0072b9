"""Corpora: texts that have a name, so that a recipe runs without a file of one's own."""

from __future__ import annotations

import hashlib
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, ClassVar

from seqgen.data.fetch import cache_folder, fetch
from seqgen.data.files import TextFile, read_text
from seqgen.errors import DataError
from seqgen.registry import Registry

corpora: Registry[Corpus] = Registry("corpus", room="corpora")


class Corpus(ABC):
    """A text with a name. The first line of a corpus's docstring is what a listing shows.

    For kinds of data with a source and a target the text has them on each line with a tab between;
    for tagged data it has a token, a tab and its tag on each line, and blank lines between
    sequences.
    """

    name: ClassVar[str]

    @abstractmethod
    def read(self) -> TextFile:
        """The text. Errors: DataError where it is not ready."""

    @abstractmethod
    def ready(self) -> bool:
        """Whether `read` would work now, without a download."""

    def fetch(self, on_progress: Callable[[int, int], None] | None = None) -> None:  # noqa: B027
        """Make the corpus ready; nothing to do for one that comes with Python.

        `on_progress(bytes_so_far, size)` is called as the bytes come.

        Errors: DataError where it does not come; SetupError where it cannot be written.
        """


CorpusFactory = Annotated[Callable[..., Corpus], corpora]


@corpora.register("python_docs")
class PythonDocs(Corpus):
    """The help topics of this Python: 0.5 MB of English prose and code; no download.

    The text differs a little from one release of Python to the next.
    """

    name = "python_docs"

    def read(self) -> TextFile:
        """The topics in the order of their keys, a blank line between two."""
        if not self.ready():
            raise DataError(f"corpus '{self.name}': this Python comes without pydoc_data.topics")
        from pydoc_data.topics import topics

        return TextFile.of("\n\n".join(topics[key] for key in sorted(topics)))

    def ready(self) -> bool:
        """Some systems pack the topics apart from Python."""
        try:
            return importlib.util.find_spec("pydoc_data.topics") is not None
        except ModuleNotFoundError:
            return False


@corpora.register("tiny_shakespeare")
class TinyShakespeare(Corpus):
    """40,000 lines of Shakespeare's plays: 1.1 MB, the usual text for character models; fetched."""

    name = "tiny_shakespeare"
    url = (
        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
    )
    sha256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
    size = 1_115_394

    def read(self) -> TextFile:
        """The text as it was fetched."""
        self._check()
        return read_text(_shakespeare_path())

    def ready(self) -> bool:
        """Whether the right file is in the cache folder."""
        try:
            self._check()
        except DataError:
            return False
        return True

    def fetch(self, on_progress: Callable[[int, int], None] | None = None) -> None:
        """Download the text into the cache folder, unless it is there."""
        if not self.ready():
            fetch(self.url, self.sha256, self.size, _shakespeare_path(), on_progress)

    def _check(self) -> None:
        path = _shakespeare_path()
        get = f"seqgen data get {self.name}"
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest()
        except FileNotFoundError:
            message = f"is not here yet: {get} (or give a local file: data.path=FILE)"
            raise DataError(f"corpus '{self.name}' {message}") from None
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from None
        if found != self.sha256:
            message = f"SHA-256 {found[:16]}... instead of {self.sha256[:16]}..."
            raise DataError(
                f"{path}: not what corpus '{self.name}' is ({message}); fetch it again: {get}"
            )


def _shakespeare_path() -> Path:
    return cache_folder() / "tiny_shakespeare.txt"
