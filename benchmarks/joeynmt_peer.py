"""JoeyNMT's side of beam_speed.py, run by the python of peers.sh: it knows nothing of seqgen.

    PYTHON joeynmt_peer.py FILE

FILE has weights, sizes and batches of sources, as beam_speed.py saves them. Each line of standard
input is the width of a beam; the answer is a line of JSON, seconds and tokens of each batch.
"""

from __future__ import annotations

import json
import sys
import time
from types import SimpleNamespace
from typing import Any

import torch
from joeynmt.decoders import RecurrentDecoder
from joeynmt.embeddings import Embeddings
from joeynmt.encoders import RecurrentEncoder
from joeynmt.model import Model
from joeynmt.search import search
from joeynmt.vocabulary import Vocabulary
from torch import Tensor

BOS, THEIR_BOS = 2, 1
"""The id of the first token that is read, in JoeyNMT and in the weights."""


def clock() -> float:
    """As in beam_speed.py."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def vocabulary(size: int) -> Vocabulary:
    """`size` tokens, the special ones first."""
    specials = {"unk": 0, "pad": 1, "bos": 2, "eos": 3}
    named = {f"{name}_token": f"<{name}>" for name in specials}
    ids = {f"{name}_id": place for name, place in specials.items()}
    settings = SimpleNamespace(**named, **ids, sep_token=None, sep_id=None, lang_tags=[])
    return Vocabulary([f"w{place}" for place in range(4, size)], settings)


def model_of(weights: dict[str, Tensor], vocab: int, embedding: int, hidden: int) -> Model:
    """The network that beam_speed.py describes, with the same weights."""
    encoder = RecurrentEncoder("lstm", hidden, embedding, 1, bidirectional=True)
    decoder = RecurrentDecoder(
        "lstm", embedding, hidden, encoder, "luong", 1, vocab, init_hidden="bridge"
    )
    tables = [Embeddings(embedding, vocab_size=vocab, padding_idx=1) for _ in range(2)]
    words = vocabulary(vocab)
    model = Model(encoder, decoder, *tables, words, words)
    own: dict[str, Tensor] = {
        "src_embed.lut.weight": weights["encoder.vectors.embedding.weight"],
        "trg_embed.lut.weight": weights["embedding.weight"].clone(),
        "decoder.output_layer.weight": weights["head.project.weight"],
        "decoder.attention.key_layer.weight": weights["attention.of_memory.weight"],
        "decoder.att_vector_layer.bias": weights["attention.combine.bias"],
    }
    own["trg_embed.lut.weight"][BOS] = weights["embedding.weight"][THEIR_BOS]
    for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        own[f"encoder.rnn.{part}_l0"] = weights[f"encoder.forwards.0.native.{part}_l0"]
        own[f"encoder.rnn.{part}_l0_reverse"] = weights[f"encoder.backwards.0.native.{part}_l0"]
        own[f"decoder.rnn.{part}_l0"] = weights[f"cell.native.{part}_l0"]
    read, query = weights["attention.combine.weight"].split([2 * hidden, hidden], 1)
    own["decoder.att_vector_layer.weight"] = torch.cat([query, read], 1)
    # Of the summary (hidden and memory of both directions) JoeyNMT reads the hidden vectors.
    forwards, _, backwards, _ = weights["bridge.linear.weight"][:hidden].split(hidden, 1)
    own["decoder.bridge_layer.weight"] = torch.cat([forwards, backwards], 1)
    own["decoder.bridge_layer.bias"] = weights["bridge.linear.bias"][:hidden]
    model.load_state_dict(own)
    return model.eval()


def decode(model: Model, batch: dict[str, Any], beam: int) -> tuple[float, list[list[int]]]:
    """The seconds for a batch, and the tokens of its outputs."""
    sources, lengths, steps = batch["sources"], batch["lengths"], batch["steps"]
    real = torch.arange(sources.shape[1]) < lengths.unsqueeze(1)
    asked = SimpleNamespace(
        src=sources,
        src_length=lengths,
        src_mask=real.unsqueeze(1),
        has_trg=False,
    )
    began = clock()
    found, _, _ = search(model, asked, steps, beam, -1, min_output_length=steps, generate_unk=False)
    return clock() - began, found.astype(int).tolist()


def main() -> None:
    """Answer until standard input ends."""
    saved = torch.load(sys.argv[1])
    torch.set_num_threads(saved["threads"])
    model = model_of(saved["weights"], **saved["sizes"])
    print("ready", flush=True)
    for line in sys.stdin:
        found = [decode(model, batch, int(line)) for batch in saved["batches"]]
        seconds, tokens = zip(*found, strict=True)
        print(json.dumps({"seconds": seconds, "tokens": tokens}), flush=True)


if __name__ == "__main__":
    main()
