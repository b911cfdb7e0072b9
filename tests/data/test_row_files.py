"""Where rows come from: a directory, one file, files by name, files in parallel or a corpus."""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest
from seqgen.data.row_files import RowFiles

from seqgen.data import Corpus
from seqgen.data.tables import lines_of
from seqgen.data.text_files import TextFile
from seqgen.errors import DataError


@dataclass(eq=False)
class Letters(RowFiles[str]):
    """Each line a row, of files in parallel the lines together; capitals are as good as others."""

    def parsed(self, files, names):
        rows = map("+".join, zip(*(lines_of(file.text) for file in files), strict=True))
        return [f"{names[-1]}:{row}" if self.errors == "replace" else row for row in rows]

    def identity(self, row):
        return row.lower()


class Alphabet(Corpus):
    name = "alphabet"

    def read(self):
        return TextFile.of("a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n")

    def ready(self):
        return True


def rows(made, part):
    found = made.part(part)
    return None if found is None else found.rows


def refusal(made, part="train"):
    with pytest.raises(DataError) as caught:
        made.part(part)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture
def folder(place):
    for name, text in [("train.tsv", "a\nb\n"), ("dev.tsv", "c\n"), ("test.tsv", "d\n")]:
        place.write(f"parts/{name}", text)
    return Path("parts")


class TestDirectory:
    def test_a_directory_is_all_that_must_be_said(self, folder):
        made = Letters(path=folder)
        assert [rows(made, part) for part in ("train", "valid", "test")] == [
            ["a", "b"],
            ["c"],
            ["d"],
        ]
        assert made.part("valid").name == "parts/dev.tsv"
        assert made.file_remarks() == []

    def test_files_in_it_may_have_other_names(self, folder, place):
        place.write("parts/more.txt", "x\n")
        made = Letters(path=folder, train=Path("more.txt"), test=Path("dev.tsv"))
        assert [rows(made, part) for part in ("train", "valid", "test")] == [["x"], ["c"], ["c"]]

    def test_held_out_files_that_are_not_there_are_missing_and_no_error(self, folder):
        (folder / "test.tsv").unlink()
        made = Letters(path=folder)
        assert rows(made, "test") is None
        assert made.file_remarks() == ["parts/test.tsv: not there, so there is no such part"]
        assert set(made.hashes()) == {"parts/train.tsv", "parts/dev.tsv"}

    def test_there_must_be_a_training_file(self, folder):
        (folder / "train.tsv").unlink()
        assert refusal(Letters(path=folder)) == (
            "parts: has no train.tsv; data.train=NAME says what is read"
        )

    def test_a_named_file_must_be_there(self, folder):
        message = refusal(Letters(path=folder, test=Path("exam.tsv")), "test")
        assert message == "parts/exam.tsv: cannot be read: No such file or directory"

    def test_files_in_it_may_be_in_parallel(self, folder):
        made = Letters(path=folder, valid=(Path("dev.tsv"), Path("test.tsv")))
        assert rows(made, "valid") == ["c+d"]
        assert made.part("valid").name == "parts/dev.tsv, parts/test.tsv"


class TestFiles:
    def test_files_may_be_named_one_by_one(self, folder):
        made = Letters(train=folder / "train.tsv", test=(folder / "test.tsv",))
        assert [rows(made, part) for part in ("train", "valid", "test")] == [
            ["a", "b"],
            None,
            ["d"],
        ]
        assert made.file_remarks() == []

    def test_each_file_has_its_hash(self, folder):
        made = Letters(train=(folder / "dev.tsv", folder / "test.tsv"))
        assert made.hashes() == {
            "parts/dev.tsv": hashlib.sha256(b"c\n").hexdigest(),
            "parts/test.tsv": hashlib.sha256(b"d\n").hexdigest(),
        }

    def test_a_file_is_read_once_and_not_before_it_is_asked_for(self, folder):
        made = Letters(train=folder / "train.tsv", test=folder / "nothing")
        first = made.part("train")
        (folder / "train.tsv").unlink()
        assert made.part("train") is first

    def test_faults_of_the_encoding_are_refused_or_replaced(self, place):
        path = place.write("bad.tsv", b"a\nb\xff\n")
        assert "bad.tsv:2: invalid UTF-8 at byte 3" in refusal(Letters(train=path))
        replaced = Letters(train=path, errors="replace")
        assert rows(replaced, "train") == [f"{path}:a", f"{path}:b\ufffd"]

    def test_what_was_replaced_is_counted(self, place):
        place.write("odd.tsv", b"a\xff\nb\xfe\xff\n")
        for made in (
            Letters(path=Path("odd.tsv"), errors="replace", split=(1, 0, 0)),
            Letters(train=Path("odd.tsv"), errors="replace"),
        ):
            rows(made, "train")
            assert made.file_remarks() == ["odd.tsv: 3 faults of the encoding read as U+FFFD"]

    def test_a_path_that_is_no_line_is_shown_on_one(self, place):
        path = place.write("two\nlines.tsv", "a\n")
        assert "two\\nlines.tsv" in Letters(train=path).part("train").name


class TestRemarks:
    def test_a_file_of_two_parts_is_said_once(self, folder, place):
        place.write("parts/copy.tsv", "a\nb\n")
        made = Letters(path=folder, valid=Path("copy.tsv"))
        assert len(made.hashes()) == 3
        assert made.file_remarks() == [
            "parts/copy.tsv: of the valid part, the same as parts/train.tsv of train"
        ]

    def test_it_may_be_packed_in_one_of_them(self, folder, place):
        place.write("parts/copy.tsv.gz", gzip.compress(b"a\r\nb\r\n"))
        made = Letters(path=folder, valid=Path("copy.tsv"), test=Path("copy.tsv"))
        assert len(made.hashes()) == 2
        assert made.file_remarks() == [
            f"parts/copy.tsv.gz: of the {part} part, the same as parts/train.tsv of train"
            for part in ("valid", "test")
        ]

    def test_rows_of_two_parts_are_counted(self, folder, place):
        place.write("parts/test.tsv", "x\nB\nb\n")
        made = Letters(path=folder)
        made.hashes()
        both = "1 of 2 different rows are in training, too"
        assert made.file_remarks() == [f"parts/test.tsv: of the test part, {both}"]

    def test_an_empty_held_out_file_is_said(self, folder, place):
        place.write("parts/dev.tsv", "\n \n")
        made = Letters(path=folder)
        made.hashes()
        assert made.part("valid") is None
        empty = "parts/dev.tsv: no rows for the valid part, so there is none"
        assert made.file_remarks() == [empty]

    def test_a_share_without_rows_is_said(self, place):
        made = Letters(path=place.write("few.txt", "a\nb\nc\n"), split=(0.9, 0.1, 0))
        made.hashes()
        assert made.part("valid") is None
        [remark] = made.file_remarks()
        assert remark.endswith("few.txt: no rows for the valid part, so there is none")


class TestNames:
    @pytest.mark.parametrize("name", ["dev.csv", "valid.jsonl.gz", "valid.tsv"])
    def test_files_of_a_directory_have_other_ones_too(self, folder, name):
        content = b"c\n" if not name.endswith(".gz") else gzip.compress(b"c\n")
        (folder / "dev.tsv").unlink()
        (folder / name).write_bytes(content)
        made = Letters(path=folder)
        assert rows(made, "valid") == ["c"]
        assert made.part("valid").name == f"parts/{name}"

    def test_two_that_might_be_meant_are_refused(self, folder, place):
        place.write("parts/train.csv", "a\n")
        wanted = "parts: has train.tsv and train.csv; data.train=NAME says which is read"
        assert refusal(Letters(path=folder)) == wanted

    def test_rows_are_divided_from_one_file(self, folder):
        wanted = "parts/*.tsv: fits 3 files, but rows come from one"
        assert refusal(Letters(path=folder / "*.tsv")).endswith(wanted)


class TestDivided:
    def test_one_file_is_divided_by_its_different_rows(self, place):
        text = "".join(f"{letter}\n{letter.upper()}\n" for letter in "abcdefghij")
        made = Letters(path=place.write("rows.txt", text), split=(0.5, 0.3, 0.2))
        parts = [rows(made, part) for part in ("train", "valid", "test")]
        assert [len(part) for part in parts] == [10, 6, 4]
        letters = [{row.lower() for row in part} for part in parts]
        assert sum(map(len, letters)) == len(set().union(*letters)) == 10

    def test_the_draw_has_a_seed_of_its_own(self):
        parts = [rows(Letters(Alphabet, split_seed=seed), "train") for seed in (1, 1, 2)]
        assert parts[0] == parts[1] != parts[2]

    def test_a_corpus_has_a_name_and_a_hash(self):
        made = Letters(Alphabet)
        assert made.part("train").name == "alphabet"
        assert made.hashes() == {"alphabet": Alphabet().read().sha256}
        assert [len(rows(made, part)) for part in ("train", "valid", "test")] == [8, 1, 1]

    def test_a_path_comes_before_files_and_files_before_a_corpus(self, folder):
        assert rows(Letters(Alphabet, folder), "train") == ["a", "b"]
        assert rows(Letters(Alphabet, train=folder / "dev.tsv"), "train") == ["c"]

    def test_a_part_without_rows_is_none(self):
        made = Letters(Alphabet, split=(0.9, 0, 0.1))
        assert rows(made, "valid") is None
        assert rows(made, "test") is not None

    def test_too_few_rows_are_refused_with_their_number(self, place):
        place.write("one.txt", "a\nA\n")
        message = refusal(Letters(path=Path("one.txt"), split=(0.2, 0.4, 0.4)))
        found = "1 different row and the split [0.2, 0.4, 0.4] leave none for training"
        assert message == f"one.txt: {found}"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "`path`, `train` or `corpus` must say where the rows come from"),
        ({"corpus": Alphabet, "test": Path("t")}, "`train` must be a file where `valid` or `test`"),
        ({"path": Path("p"), "split": (0, 0.5, 0.5)}, r"`split` must be .* but is \[0, 0.5, 0.5\]"),
        ({"path": Path("p"), "split": (0.8, 0.2, 0.1)}, "`split` must be shares of 1"),
    ],
)
def test_options_that_say_nothing_or_too_much_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Letters(**options)


def test_a_file_has_no_files_in_it(place):
    message = refusal(Letters(path=Path("text.txt"), valid=Path("dev.tsv")))
    assert message == "text.txt: no directory, in which `train`, `valid` and `test` would be files"


def test_a_path_that_is_not_there_is_refused(place):
    assert refusal(Letters(path=Path("none"))).startswith("none: cannot be read: No such file")
