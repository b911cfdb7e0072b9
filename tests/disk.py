"""What lies on a disk: the contents of a folder, a huge file, a pickle that acts."""

import os


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def huge(path):
    path.touch()
    os.truncate(path, 1 << 40)


class Trap:
    """A pickle that leaves a folder behind where it is loaded."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)
