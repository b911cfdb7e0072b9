"""Does `a_decoder` keep the laws of decoders? Run this by: pytest test_a_decoder.py"""

from a_decoder import ADecoder
from seqgen.testing import check_decoder


def test_it_keeps_the_laws_of_decoders():
    check_decoder(ADecoder).require()
