"""Where a comparison may lie, and that its files come together."""

import json
import os

import pytest

from seqgen.comparison.files import check_free, document_text, write
from seqgen.errors import SetupError

FILES = {"compare.json", "compare.html", "compare.md"}
DOCUMENT = {
    "format": 1,
    "systems": [{"label": "greedy [/x]", "run": "a", "decoder": {"name": "greedy"}, "values": {}}],
    "seed": 7,
    "value": float("nan"),
    "text": "a\ud800b",
}


def names(folder):
    return {each.name for each in folder.iterdir()}


class TestFree:
    @pytest.mark.parametrize("overwrite", [True, False])
    def test_a_new_place_and_an_empty_folder_are(self, place, overwrite):
        check_free(place.folder / "new" / "below", overwrite=overwrite)
        (place.folder / "empty").mkdir()
        check_free(place.folder / "empty", overwrite=overwrite)
        assert not (place.folder / "new").exists()

    def test_a_comparison_is_if_it_may_be_overwritten(self, place):
        write(place.folder / "out", DOCUMENT)
        check_free(place.folder / "out", overwrite=True)
        with pytest.raises(SetupError, match=r"out: has a comparison already; --overwrite it"):
            check_free(place.folder / "out", overwrite=False)

    def test_what_an_interrupted_one_left_is_no_hindrance(self, place):
        place.write("out/.compare.1.tmp/compare.json", "{")
        check_free(place.folder / "out", overwrite=False)
        place.write("out/compare.json", document_text(DOCUMENT))
        check_free(place.folder / "out", overwrite=True)
        write(place.folder / "out", DOCUMENT)
        assert names(place.folder / "out") == FILES

    @pytest.mark.parametrize("name", ["notes.txt", ".git/HEAD", "compare.html/x", "checkpoints/x"])
    def test_what_lies_there_too_is_named_and_stays(self, name, place):
        write(place.folder / "out", DOCUMENT)
        if name.startswith("compare"):
            (place.folder / "out/compare.html").unlink()
        place.write(f"out/{name}", "mine")
        before, named = place.files(), name.split("/")[0]
        with pytest.raises(SetupError, match=f"out: holds what no comparison wrote: {named}; move"):
            check_free(place.folder / "out", overwrite=True)
        assert place.files() == before

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 1}', '{"systems": []}'])
    def test_a_file_of_the_same_name_is_no_comparison(self, content, place):
        place.write("out/compare.json", content)
        with pytest.raises(SetupError, match=r"out: not empty and not a comparison"):
            check_free(place.folder / "out", overwrite=True)

    @pytest.mark.parametrize("overwrite", [True, False])
    def test_something_else_never_is(self, place, overwrite):
        place.write("out/notes.txt", "mine")
        with pytest.raises(SetupError, match=r"out: not empty and not a comparison"):
            check_free(place.folder / "out", overwrite=overwrite)
        with pytest.raises(SetupError, match=r"text.txt: not a directory"):
            check_free(place.folder / "text.txt", overwrite=overwrite)
        with pytest.raises(SetupError, match=r"text.txt/x: not a directory"):
            check_free(place.folder / "text.txt" / "x", overwrite=overwrite)
        with pytest.raises(SetupError, match=r"cannot be read: File name too long"):
            check_free(place.folder / ("x" * 300), overwrite=overwrite)

    def test_a_link_to_nowhere_is_not(self, place):
        (place.folder / "link").symlink_to("nowhere")
        with pytest.raises(SetupError, match=r"link: cannot be written"):
            check_free(place.folder / "link", overwrite=False)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
    def test_where_nothing_can_be_written(self, place):
        (place.folder / "closed").mkdir(mode=0o500)
        for name in ("closed", "closed/new/below"):
            with pytest.raises(SetupError, match=r"cannot be written: no permission in .*closed"):
                check_free(place.folder / name, overwrite=False)


class TestWriting:
    def test_all_files(self, place):
        folder = place.folder / "deep" / "out"
        write(folder, DOCUMENT)
        assert names(folder) == FILES
        assert (folder / "compare.json").read_text(encoding="utf-8") == document_text(DOCUMENT)
        assert "greedy [/x]" in (folder / "compare.html").read_text(encoding="utf-8")

    def test_json_holds_what_numbers_and_texts_allow(self):
        text = document_text(DOCUMENT)
        assert text.encode("utf-8").endswith(b"}\n")
        assert json.loads(text) == {**DOCUMENT, "value": None}

    def test_an_older_comparison_is_replaced_and_other_files_stay(self, place):
        folder = place.folder / "out"
        write(folder, DOCUMENT)
        place.write("out/notes.txt", "mine")
        write(folder, {**DOCUMENT, "seed": 8})
        assert names(folder) == {*FILES, "notes.txt"}
        assert json.loads((folder / "compare.json").read_bytes())["seed"] == 8

    def test_none_where_one_cannot_be_made(self, place):
        with pytest.raises(TypeError):
            write(place.folder / "out", {"format": 1, "systems": object()})
        assert not (place.folder / "out").exists()

    def test_a_full_disk(self, small_disk):
        folder = small_disk(128)
        write(folder / "out", DOCUMENT)
        long = {**DOCUMENT, "text": "x" * 200_000}
        with pytest.raises(SetupError, match=r"out/compare.json: cannot be written: No space left"):
            write(folder / "out", long)
        assert names(folder / "out") == FILES
        assert json.loads((folder / "out" / "compare.json").read_bytes())["seed"] == 7
        with pytest.raises(SetupError, match=r"cannot be written: No space left"):
            write(folder / "new", long)
        assert not (folder / "new").exists()
