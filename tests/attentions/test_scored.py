"""Attention by scores, against the formulas written out with loops."""

import math

import pytest

SCORED = ("dot", "general", "additive")


def products(matrix, vector):
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def dot(attention, query, memory):
    return sum(a * b for a, b in zip(query, memory, strict=True))


def general(attention, query, memory):
    return dot(None, query, products(attention.of_memory.weight.tolist(), memory))


def additive(attention, query, memory):
    of_query = products(attention.of_query.weight.tolist(), query)
    of_memory = products(attention.of_memory.weight.tolist(), memory)
    bias, [last] = attention.of_query.bias.tolist(), attention.of_layer.weight.tolist()
    sums = zip(of_query, of_memory, bias, strict=True)
    return sum(v * math.tanh(a + b + c) for v, (a, b, c) in zip(last, sums, strict=True))


def softmax(scores):
    shares = [math.exp(each) for each in scores]
    return [each / sum(shares) for each in shares]


@pytest.fixture(params=SCORED)
def name(request):
    return request.param


def test_it_is_what_the_formulas_say(name, build, scene):
    attention = build(name)
    read, weights = scene.read(attention)
    score = {"dot": dot, "general": general, "additive": additive}[name]
    combine, bias = attention.combine.weight.tolist(), attention.combine.bias.tolist()
    for row, length in enumerate(scene.mask.sum(1).tolist()):
        memory = scene.memory[row, :length].tolist()
        for moment, query in enumerate(scene.queries[row].tolist()):
            shares = softmax([score(attention, query, each) for each in memory])
            mixed = [
                sum(share * each[i] for share, each in zip(shares, memory, strict=True))
                for i in range(4)
            ]
            sums = zip(products(combine, [*mixed, *query]), bias, strict=True)
            wanted = [math.tanh(a + b) for a, b in sums]
            assert read[row, moment].tolist() == pytest.approx(wanted, abs=1e-5)
            assert weights[row, moment].tolist() == pytest.approx(
                [*shares, *[0.0] * (5 - length)], abs=1e-6
            )


def test_the_order_of_the_source_does_not_matter(name, build, scene):
    attention, turned = build(name), [2, 4, 0, 3, 1]
    read, weights = scene.read(attention)
    scene.memory, scene.mask = scene.memory[:, turned], scene.mask[:, turned]
    found, moved = scene.read(attention)
    assert found.flatten().tolist() == pytest.approx(read.flatten().tolist(), abs=1e-6)
    assert moved.flatten().tolist() == pytest.approx(
        weights[:, :, turned].flatten().tolist(), abs=1e-6
    )


def test_an_encoder_without_a_memory_is_refused(name, build):
    with pytest.raises(ValueError, match="needs an encoder with a memory to look back at, and thi"):
        build(name, memory_size=0)
