"""Does `a_cell` keep the laws of cells? Run this by: pytest test_a_cell.py"""

from a_cell import ACell
from seqgen.testing import check_cell


def test_it_keeps_the_laws_of_cells():
    check_cell(ACell).require()
