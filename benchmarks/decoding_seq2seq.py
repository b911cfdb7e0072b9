"""Ways to answer a source, from greedy to exact search, by models of pronunciation and translation.

    python benchmarks/decoding_seq2seq.py --g2p cmudict --translation fra-eng-tutorial
        [--g2p-run RUN] [--translation-run RUN]
        [--pictures docs/pictures] [--pages docs/decoding.md docs/results.md]

The strategies and the inputs are those of `decoding_seq2seq.yaml`. Without a run its recipe,
`g2p_cmudict` or `translate_fra_eng`, is trained first; a model without data and run is left out.
Prints each comparison in Markdown and says which of the known facts hold; ends with 1 if one does
not. Pictures and tables are of both models.
"""

from __future__ import annotations

import sys
from pathlib import Path

import decoding
from decoding_facts import OF_ANSWERS, OF_TRANSLATIONS, check

PLAN = Path(__file__).with_suffix(".yaml")
RECIPES = {"g2p": "g2p_cmudict", "translation": "translate_fra_eng"}
FACTS = {"g2p": OF_ANSWERS, "translation": OF_TRANSLATIONS}


def main() -> None:
    """Train, compare, publish, check: each model in its turn."""
    reader = decoding.options(__doc__ or "", "runs/benchmarks/seq2seq")
    for name, recipe in RECIPES.items():
        reader.add_argument(f"--{name}", type=Path, help=f"the data of {recipe}")
        reader.add_argument(f"--{name}-run", type=Path, help=f"a trained run of {recipe}")
    given = reader.parse_args()
    documents = {}
    for name, recipe in RECIPES.items():
        path, run = getattr(given, name), getattr(given, f"{name}_run")
        if path is None and run is None:
            continue
        data = [] if path is None else [f"data.path={path}"]
        run = decoding.trained(recipe, run, data, given.out / f"{name}_run")
        settings = [*data, *given.settings]
        documents[name] = decoding.compared(run, PLAN, given.out / name, settings)
    if not documents:
        reader.error("--g2p DIR or --translation DIR is missing, the data of a model; or its run")
    decoding.publish(given, documents)
    hold = [check(each, FACTS[name]) for name, each in documents.items()]
    sys.exit(not all(hold))


if __name__ == "__main__":
    main()
