"""Prose: what of a documentation is sentences, and how they read."""

import pytest

from seqgen.data.prose import sentences

PAGE = """\
Heading here.
*************

The "try" statement*s* of *Python* are \u2018well-
known\u2019 (so they say). Don\u2019t ask, i.e. Never mind. See below [3]:

   if x:
      This is code.

   And so is this.

Back to prose.  "in" works.

+------+
| A table. |
+------+

>>> print("A dialogue.")

   stmt ::= "A rule."

* An item that goes on
  here.

term
   Its definition.

     Ragged lines
   are code,
       too.
"""


def test_paragraphs_and_sentences():
    assert list(sentences(PAGE)) == [
        [
            "The try statement*s* of Python are well-known.",
            "Don't ask, i.e. Never mind.",
            "See below:",
        ],
        ["Back to prose.", "in works."],
        ["An item that goes on here."],
        ["Its definition."],
    ]


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("Call ``len()`` or `repr` now.", "Call len() or repr now."),
        ("A :class:`int` and a :py:meth:`list.sort` are here.", "A int and a list.sort are here."),
        ("Both *args and **kwargs stay.", "Both *args and **kwargs stay."),
        ("**Strong** and *several words* are plain.", "Strong and several words are plain."),
        (
            'Code such as "x in y" or "x < y" is quoted.',
            'Code such as x in y or "x < y" is quoted.',
        ),
        ("It can be (re-)enabled by f(x) (or g).", "It can be (re-)enabled by f(x)."),
        ('The call "()" (a pair) is [2] empty.', "The call () is empty."),
        (
            "The \u201clong\u201d 'name' isn\u2019t the dogs' own.",
            "The long name isn't the dogs' own.",
        ),
    ],
)
def test_markup_is_taken_off(marked, plain):
    assert list(sentences(marked)) == [[plain]]


def test_nothing_is_no_prose():
    assert list(sentences("")) == []
    assert list(sentences("\n \n\n")) == []
