"""Does `a_head` keep the laws of heads? Run this by: pytest test_a_head.py"""

from a_head import AHead
from seqgen.testing import check_head


def test_it_keeps_the_laws_of_heads():
    check_head(AHead).require()
