"""Ways to continue a text, from greedy to noise, by a character LSTM of Tiny Shakespeare.

    python benchmarks/decoding_language_model.py --path tinyshakespeare.txt [--run RUN]
        [--pictures docs/pictures] [--pages docs/decoding.md docs/results.md]

The strategies and the inputs are those of `decoding_language_model.yaml`. Without `--run` the
recipe `shakespeare_char_lstm` is trained first. Prints the comparison in Markdown and says which of
the known facts hold; ends with 1 if one does not.
"""

from __future__ import annotations

import sys
from pathlib import Path

import decoding
from decoding_facts import OF_TEXT, check

PLAN = Path(__file__).with_suffix(".yaml")


def main() -> None:
    """Train, compare, publish, check."""
    reader = decoding.options(__doc__ or "", "runs/benchmarks/language_model")
    reader.add_argument("--path", type=Path, help="the text, if not where the run had it")
    reader.add_argument("--run", type=Path, help="a trained run of a text")
    given = reader.parse_args()
    if given.run is None and given.path is None:
        reader.error("--path FILE is missing, the text to train on; or --run RUN, a trained run")
    data = [] if given.path is None else [f"data.path={given.path}"]
    run = decoding.trained("shakespeare_char_lstm", given.run, data, given.out / "run")
    settings = [*data, *given.settings]
    document = decoding.compared(run, PLAN, given.out / "compared", settings)
    decoding.publish(given, {"language_model": document})
    sys.exit(not check(document, OF_TEXT))


if __name__ == "__main__":
    main()
