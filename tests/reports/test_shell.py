from seqgen.reports.shell import Page, Section


def page(**more):
    parts = {"kind": "seqgen thing", "heading": "<x>", "lead": "<p>lead</p>", "footer": "foot"}
    return Page(**parts, style="p {}", **more).html()


def test_empty_sections_are_left_out_of_page_and_links():
    html = page(sections=[Section("a", "First", "<p>1</p>"), Section("b", "Second", "")])
    assert '<a href="#a">First</a>' in html
    assert '<section id="a"><h2>First</h2><p>1</p></section>' in html
    assert "Second" not in html


def test_the_heading_is_text_in_the_title_too():
    html = page(sections=[])
    assert "<title>&lt;x&gt; \u2013 seqgen thing</title>" in html
    assert "<h1>&lt;x&gt;</h1>" in html


def test_a_script_is_there_where_there_is_one():
    assert "<script>" not in page(sections=[])
    assert "<script>\nlet a;</script>" in page(sections=[], script="let a;")
