"""Where rows come from: a directory, one file, files by name, files in parallel or a corpus."""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

from seqgen.data import Corpus
from seqgen.data.rows import RowData
from seqgen.data.tables import lines_of
from seqgen.data.text_files import TextFile

PARTS = ("train", "valid", "test")


class Letter(NamedTuple):
    line: int
    text: str


@dataclass(eq=False)
class Letters(RowData):
    """Each line a row, of files in parallel the lines together; capitals are as good as others."""

    def parse(self, files, empty):
        rows = map("+".join, zip(*(lines_of(file.text) for file, _ in files), strict=True))
        return [Letter(*row) for row in enumerate(rows, 1)], ()

    def identity(self, row):
        return row.text.lower()

    encode_rows = collate = target_of = prompts = training_texts = None


class Alphabet(Corpus):
    name = "alphabet"

    def read(self):
        return TextFile.of("a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n")


def rows(made, part):
    found = made.part(part)
    return None if found is None else [row.text for row in found.rows]


def parts(made):
    return [rows(made, part) for part in PARTS]


@pytest.fixture
def folder(place):
    for name, text in [("train.tsv", "a\nb\n"), ("dev.tsv", "c\n"), ("test.tsv", "d\n")]:
        place.write(f"parts/{name}", text)
    return Path("parts")


class TestDirectory:
    def test_a_directory_is_all_that_must_be_said(self, folder):
        made = Letters(path=folder)
        assert parts(made) == [["a", "b"], ["c"], ["d"]]
        assert made.part("valid").name == "parts/dev.tsv"
        assert made.file_remarks() == []

    def test_files_in_it_may_have_other_names_and_be_in_parallel(self, folder, place):
        place.write("parts/more.txt", "x\n")
        made = Letters(path=folder, train=Path("more.txt"), test=Path("dev.tsv"))
        assert parts(made) == [["x"], ["c"], ["c"]]
        made = Letters(path=folder, valid=(Path("dev.tsv"), Path("test.tsv")))
        assert rows(made, "valid") == ["c+d"]
        assert made.part("valid").name == "parts/dev.tsv, parts/test.tsv"

    def test_missing_held_out_files_are_no_error(self, folder):
        (folder / "test.tsv").unlink()
        made = Letters(path=folder)
        assert rows(made, "test") is None
        assert made.file_remarks() == ["parts/test.tsv: not there, so there is no such part"]
        assert set(made.fingerprint()) == {"parts/train.tsv", "parts/dev.tsv"}

    @pytest.mark.parametrize("name", ["dev.csv", "valid.jsonl.gz", "valid.tsv"])
    def test_files_have_other_usual_names_too(self, folder, name):
        content = b"c\n" if not name.endswith(".gz") else gzip.compress(b"c\n")
        (folder / "dev.tsv").unlink()
        (folder / name).write_bytes(content)
        made = Letters(path=folder)
        assert rows(made, "valid") == ["c"]
        assert made.part("valid").name == f"parts/{name}"


class TestFiles:
    def test_files_may_be_named_one_by_one(self, folder):
        made = Letters(train=folder / "train.tsv", test=(folder / "test.tsv",))
        assert parts(made) == [["a", "b"], None, ["d"]]
        assert made.file_remarks() == []

    def test_each_file_has_its_hash(self, folder):
        made = Letters(train=(folder / "dev.tsv", folder / "test.tsv"))
        hashes = [hashlib.sha256(text).hexdigest() for text in (b"c\n", b"d\n")]
        assert made.fingerprint() == {"parts/dev.tsv": hashes[0], "parts/test.tsv": hashes[1]}

    def test_a_file_is_read_once_and_not_before_it_is_asked_for(self, folder):
        made = Letters(train=folder / "train.tsv", test=folder / "nothing")
        first = made.part("train")
        (folder / "train.tsv").unlink()
        assert made.part("train") is first

    def test_faults_of_the_encoding_are_refused_or_replaced_and_counted(self, place, said):
        place.write("odd.tsv", b"a\nb\xff\xfe\xff\n")
        path = Path("odd.tsv")
        assert "odd.tsv:2: invalid UTF-8 at byte 3" in said(Letters(train=path).part, "train")
        for options in ({"path": path, "split": (1, 0, 0)}, {"train": path}):
            made = Letters(errors="replace", **options)
            assert sorted(rows(made, "train")) == ["a", "b\ufffd\ufffd\ufffd"]
            assert made.file_remarks() == ["odd.tsv: 3 faults of the encoding read as U+FFFD"]

    def test_a_path_that_is_no_line_is_shown_on_one(self, place):
        path = place.write("two\nlines.tsv", "a\n")
        assert "two\\nlines.tsv" in Letters(train=path).part("train").name


class TestRemarks:
    def test_a_file_of_two_parts_is_reported_once_also_if_it_is_packed(self, folder, place):
        same = ": of the {} part, the same as parts/train.tsv of train"
        place.write("parts/copy.tsv", "a\nb\n")
        made = Letters(path=folder, valid=Path("copy.tsv"))
        assert len(made.fingerprint()) == 3
        assert made.file_remarks() == [f"parts/copy.tsv{same.format('valid')}"]
        (folder / "copy.tsv").unlink()
        place.write("parts/copy.tsv.gz", gzip.compress(b"a\r\nb\r\n"))
        made = Letters(path=folder, valid=Path("copy.tsv"), test=Path("copy.tsv"))
        assert len(made.fingerprint()) == 2
        wanted = [f"parts/copy.tsv.gz{same.format(part)}" for part in ("valid", "test")]
        assert made.file_remarks() == wanted

    @pytest.mark.parametrize(
        ("name", "text", "remark"),
        [
            ("parts/test.tsv", "x\nB\nb\n", "of the test part, 1 of 2 different rows are in trai"),
            ("parts/dev.tsv", "\n \n", "no rows for the valid part, so there is none"),
            ("few.txt", "a\nb\nc\n", "no rows for the valid part, so there is none"),
        ],
    )
    def test_rows_of_two_parts_and_empty_parts_are_reported(
        self, folder, place, name, text, remark
    ):
        place.write(name, text)
        path = folder if name.startswith("parts") else Path(name)
        made = Letters(path=path, split=(0.9, 0.1, 0))
        made.fingerprint()
        [found] = made.file_remarks()
        assert found.startswith(f"{name}: {remark}")
        assert ("no rows" in remark) == (made.part("valid") is None)


class TestDivided:
    def test_the_draw_has_a_seed_of_its_own(self):
        made = [rows(Letters(Alphabet, split_seed=seed), "train") for seed in (1, 1, 2)]
        assert made[0] == made[1] != made[2]

    def test_a_corpus_has_a_name_and_a_hash(self):
        made = Letters(Alphabet)
        assert made.part("train").name == "alphabet"
        assert made.fingerprint() == {"alphabet": Alphabet().read().sha256}
        assert [len(part) for part in parts(made)] == [8, 1, 1]
        made = Letters(Alphabet, split=(0.9, 0, 0.1))
        assert rows(made, "valid") is None
        assert rows(made, "test") is not None

    def test_a_path_comes_before_files_and_files_before_a_corpus(self, folder):
        assert rows(Letters(Alphabet, folder), "train") == ["a", "b"]
        assert rows(Letters(Alphabet, train=folder / "dev.tsv"), "train") == ["c"]


def test_held_out_files_need_one_for_training():
    with pytest.raises(ValueError, match="`train` must be a file where `valid` or `test`"):
        Letters(Alphabet, test=Path("t"))


@pytest.mark.parametrize(
    ("options", "part", "message"),
    [
        ({"path": "none"}, "train", "none: cannot be read: No such file or directory"),
        ({"path": "parts", "test": "exam.tsv"}, "test", "parts/exam.tsv: cannot be read: No such"),
        ({"path": "dev"}, "train", "dev: has no train.tsv; data.train=NAME says what is read"),
        ({"path": "two"}, "train", "two: has train.tsv and train.csv; data.train=NAME says which"),
        ({"path": "parts/*.tsv"}, "train", "parts/*.tsv: fits 3 files, but rows come from one"),
        (
            {"path": "one.txt", "split": (0.2, 0.4, 0.4)},
            "train",
            "one.txt: 1 different row and the split [0.2, 0.4, 0.4] leave none for training",
        ),
        ({"path": "one.txt", "valid": "d"}, "train", "one.txt: no directory, in which `train`, `v"),
    ],
)
def test_what_cannot_be_read_is_refused(folder, place, said, options, part, message):
    for name in ("dev/dev.tsv", "two/train.tsv", "two/train.csv", "one.txt"):
        place.write(name, "a\nA\n")
    paths = {key: Path(each) if isinstance(each, str) else each for key, each in options.items()}
    assert said(Letters(**paths).part, part).startswith(message)
