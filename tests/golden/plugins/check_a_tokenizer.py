"""Does `a_tokenizer` keep the laws of tokenizers? Run this by: pytest test_a_tokenizer.py"""

from a_tokenizer import ATokenizer
from seqgen.testing import check_tokenizer


def test_it_keeps_the_laws_of_tokenizers():
    check_tokenizer(ATokenizer).require()
