"use strict";

// The model of the page: the parts of seqgen by their registered names, with weights by the names
// that they have in a checkpoint, and how a token is drawn. Vectors are float32, sums are doubles.

const BOS = 1;
const EOS = 2;
const UNK = 3;
const ROUNDING = 2 ** -20; // as in seqgen/decoders/truncating.py

/** The numbers of float16, little-endian, in base64. */
function halves(text) {
  const bytes = atob(text);
  const powers = Float64Array.from({ length: 32 }, (_, exponent) => 2 ** (exponent - 25));
  const found = new Float32Array(bytes.length / 2);
  for (let place = 0; place < found.length; place++) {
    const high = bytes.charCodeAt(2 * place + 1);
    const exponent = (high >> 2) & 31;
    const fraction = ((high & 3) << 8) | bytes.charCodeAt(2 * place);
    const size = exponent ? (1024 + fraction) * powers[exponent] : fraction * powers[1];
    found[place] = high & 128 ? -size : size;
  }
  return found;
}

/** A function from the name of a weight to its values, rows and columns; null if it is not there. */
function weightsOf(shapes, text) {
  const values = halves(text);
  const found = new Map();
  let begin = 0;
  for (const [name, shape] of shapes) {
    const size = shape.reduce((product, each) => product * each, 1);
    const [rows, columns = 1] = shape;
    found.set(name, { rows, columns, values: values.subarray(begin, begin + size) });
    begin += size;
  }
  return (name) => found.get(name) ?? null;
}

/** `y = W x + b`. */
function affine(weight, bias, x, y) {
  const { rows, columns, values } = weight;
  const even = columns - (columns % 4);
  for (let row = 0, at = 0; row < rows; row++, at += columns) {
    let [a, b, c, d] = [0, 0, 0, 0];
    for (let i = 0; i < even; i += 4) {
      a += values[at + i] * x[i];
      b += values[at + i + 1] * x[i + 1];
      c += values[at + i + 2] * x[i + 2];
      d += values[at + i + 3] * x[i + 3];
    }
    for (let i = even; i < columns; i++) a += values[at + i] * x[i];
    y[row] = a + b + (c + d) + (bias ? bias.values[row] : 0);
  }
  return y;
}

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

function concat(vectors) {
  const whole = new Float32Array(vectors.reduce((size, each) => size + each.length, 0));
  let begin = 0;
  for (const each of vectors) {
    whole.set(each, begin);
    begin += each.length;
  }
  return whole;
}

// Embeddings: the vector of a token, and the product of the table with a vector, for a tied head.

function tableOf(weights, at) {
  const table = weights(`${at}weight`);
  const size = table.columns;
  return {
    vector: (token) => table.values.subarray(token * size, (token + 1) * size),
    times: (hidden, bias) => affine(table, bias, hidden, new Float64Array(table.rows)),
  };
}

const embeddings = {
  learned: (spec, weights, at) => tableOf(weights, at),
  pretrained: (spec, weights, at) => tableOf(weights, at),
  one_hot: (spec, weights, at, vocab) => ({
    vector(token) {
      const unit = new Float32Array(vocab);
      unit[token] = 1;
      return unit;
    },
    times: (hidden, bias) => Float64Array.from(hidden, (each, token) => each + bias.values[token]),
  }),
};

// Cells. `begin()` returns what is carried along: its vectors (`leaves`) and the step, which
// changes them and returns the output.

const layers = {
  lstm: {
    leaves: ["hidden", "memory"],
    update(x, u, [hidden, memory], size) {
      for (let i = 0; i < size; i++) {
        const [forget, cell, out] = [i + size, i + 2 * size, i + 3 * size];
        memory[i] =
          sigmoid(x[forget] + u[forget]) * memory[i] +
          sigmoid(x[i] + u[i]) * Math.tanh(x[cell] + u[cell]);
        hidden[i] = sigmoid(x[out] + u[out]) * Math.tanh(memory[i]);
      }
    },
  },
  gru: {
    leaves: ["hidden"],
    update(x, u, [hidden], size) {
      for (let i = 0; i < size; i++) {
        const [update, fresh] = [i + size, i + 2 * size];
        const keep = sigmoid(x[update] + u[update]);
        const candidate = Math.tanh(x[fresh] + sigmoid(x[i] + u[i]) * u[fresh]);
        hidden[i] = (1 - keep) * candidate + keep * hidden[i];
      }
    },
  },
  rnn: {
    leaves: ["hidden"],
    update(x, u, [hidden], size, { nonlinearity }) {
      const bend = nonlinearity === "relu" ? (value) => Math.max(0, value) : Math.tanh;
      for (let i = 0; i < size; i++) hidden[i] = bend(x[i] + u[i]);
    },
  },
};

function layerOf(spec, weights, at, suffix) {
  const kind = layers[spec.name.replace("_cell", "")];
  const [input, recurrent, bias, recurrentBias] = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"].map(
    (name) => weights(`${at}native.${name}${suffix}`),
  );
  const size = recurrent.columns;
  const begin = () => {
    const leaves = kind.leaves.map(() => new Float32Array(size));
    const [x, u] = [input, recurrent].map((each) => new Float64Array(each.rows));
    const step = (read) => {
      affine(input, bias, read, x);
      affine(recurrent, recurrentBias, leaves[0], u);
      kind.update(x, u, leaves, size, spec);
      return leaves[0];
    };
    return { leaves, step };
  };
  return { inputSize: input.columns, outputSize: size, names: kind.leaves, begin };
}

/** Cells one above the other; `above(n, read, output)` is what the next one reads. */
function chain(every, above = (n, read, output) => output) {
  const begin = () => {
    const parts = every.map((each) => each.begin());
    const step = (x) => parts.reduce((read, part, n) => above(n, read, part.step(read)), x);
    return { leaves: parts.flatMap((each) => each.leaves), step };
  };
  const names = every.flatMap((each, n) =>
    each.names.map((name) => (every.length > 1 ? `layer ${n + 1} ${name}` : name)),
  );
  return { inputSize: every[0].inputSize, outputSize: every.at(-1).outputSize, names, begin };
}

const native = (spec, weights, at) =>
  chain(Array.from({ length: spec.layers }, (_, n) => layerOf(spec, weights, at, `_l${n}`)));
const single = (spec, weights, at) => layerOf(spec, weights, at, "");

function layerNorm(x, weight, bias) {
  const mean = x.reduce((sum, each) => sum + each, 0) / x.length;
  const variance = x.reduce((sum, each) => sum + (each - mean) ** 2, 0) / x.length;
  const scale = 1 / Math.sqrt(variance + 1e-5);
  return x.map((each, i) => (each - mean) * scale * weight.values[i] + bias.values[i]);
}

const cells = {
  lstm: native,
  gru: native,
  rnn: native,
  lstm_cell: single,
  gru_cell: single,
  rnn_cell: single,
  stack(spec, weights, at) {
    const every = spec.cells.map((each, n) => cells[each.name](each, weights, `${at}cells.${n}.`));
    return chain(every, (n, read, output) => {
      const [weight, bias] = ["weight", "bias"].map((name) => weights(`${at}norms.${n}.${name}`));
      const normal = weight ? layerNorm(output, weight, bias) : output;
      const residual = spec.residual && every[n].inputSize === every[n].outputSize;
      return residual ? normal.map((each, i) => each + read[i]) : normal;
    });
  },
};

// Heads: from a hidden vector to a score for each token, the logarithm of its probability but for a
// constant.

const heads = {
  linear(spec, weights, at) {
    const [weight, bias] = [weights(`${at}project.weight`), weights(`${at}project.bias`)];
    return (hidden) => affine(weight, bias, hidden, new Float64Array(weight.rows));
  },
  tied(spec, weights, at, embedding) {
    const [project, bias] = [weights(`${at}project.weight`), weights(`${at}bias`)];
    return (hidden) => {
      const read = project ? affine(project, null, hidden, new Float32Array(project.rows)) : hidden;
      return embedding.times(read, bias);
    };
  },
};

// Attentions: `begin(memory)` returns a function from a query to what the head reads and the shares
// of the source.

function scored(weights, at, keyOf, scoreOf) {
  const [combine, bias] = [weights(`${at}combine.weight`), weights(`${at}combine.bias`)];
  const begin = (memory) => {
    const keys = memory.map(keyOf);
    return (query) => {
      const { shares } = softmax(Float64Array.from(scoreOf(query, keys)), 1);
      const read = new Float32Array(memory[0].length);
      memory.forEach((each, n) => {
        for (let i = 0; i < read.length; i++) read[i] += shares[n] * each[i];
      });
      const joined = affine(combine, bias, concat([read, query]), new Float32Array(combine.rows));
      return { read: joined.map(Math.tanh), shares };
    };
  };
  return { outputSize: combine.rows, begin };
}

const times = (weight, bias = null) => (x) => affine(weight, bias, x, new Float32Array(weight.rows));
const dot = (x, y) => x.reduce((sum, each, i) => sum + each * y[i], 0);
const products = (query, keys) => keys.map((key) => dot(key, query));

const attentions = {
  dot: (spec, weights, at) => scored(weights, at, (each) => each, products),
  general: (spec, weights, at) =>
    scored(weights, at, times(weights(`${at}of_memory.weight`)), products),
  additive(spec, weights, at) {
    const ofQuery = times(weights(`${at}of_query.weight`), weights(`${at}of_query.bias`));
    const ofLayer = weights(`${at}of_layer.weight`).values;
    return scored(weights, at, times(weights(`${at}of_memory.weight`)), (query, keys) => {
      const own = ofQuery(query);
      return keys.map((key) => dot(ofLayer, key.map((each, i) => Math.tanh(own[i] + each))));
    });
  },
  none: (spec, weights, at, querySize) => ({
    outputSize: querySize,
    begin: () => (query) => ({ read: query, shares: null }),
  }),
};

// Encoders: a function from tokens to a summary and a memory.

function readAll(cell, xs) {
  const carried = cell.begin();
  const outputs = xs.map((x) => Float32Array.from(carried.step(x)));
  return { outputs, summary: concat(carried.leaves) };
}

const encoders = {
  recurrent(spec, weights, at, vectors) {
    const cell = cells[spec.cell.name](spec.cell, weights, `${at}cell.`);
    return (tokens) => {
      const { outputs, summary } = readAll(cell, tokens.map(vectors));
      return { memory: outputs, summary };
    };
  },
  bidirectional(spec, weights, at, vectors) {
    const pairs = Array.from({ length: spec.layers }, (_, n) =>
      ["forwards", "backwards"].map((way) =>
        cells[spec.cell.name](spec.cell, weights, `${at}${way}.${n}.`),
      ),
    );
    return (tokens) => {
      let memory = tokens.map(vectors);
      const summaries = [];
      for (const [forwards, backwards] of pairs) {
        const ahead = readAll(forwards, memory);
        const back = readAll(backwards, memory.toReversed());
        back.outputs.reverse();
        memory = ahead.outputs.map((each, n) => concat([each, back.outputs[n]]));
        summaries.push(ahead.summary, back.summary);
      }
      return { memory, summary: concat(summaries) };
    };
  },
};

const bridges = {
  linear(spec, weights, at) {
    const map = times(weights(`${at}linear.weight`), weights(`${at}linear.bias`));
    return (summary) => map(summary).map(Math.tanh);
  },
  copy: () => (summary) => summary,
  zeros: () => () => null,
};

// Models. `begin(source)` returns what writes a text: `read(token)`, then `scores()` of what comes
// next; `leaves` are the state, `shares` the attention of the last token read.

const models = {
  language_model(spec, weights, { outputs }) {
    const embedding = embeddings[spec.embedding.name](spec.embedding, weights, "embedding.", outputs);
    const cell = cells[spec.cell.name](spec.cell, weights, "cell.");
    const head = heads[spec.head.name](spec.head, weights, "head.", embedding);
    const begin = () => {
      const carried = cell.begin();
      const writer = { leaves: carried.leaves, shares: null };
      writer.read = (token) => void (writer.hidden = carried.step(embedding.vector(token)));
      writer.scores = () => head(writer.hidden);
      return writer;
    };
    return { names: cell.names, begin };
  },
  seq2seq(spec, weights, { sources, outputs }) {
    const of = spec.encoder;
    const at = "encoder.vectors.embedding.";
    const { vector } = embeddings[of.embedding.name](of.embedding, weights, at, sources);
    const encode = encoders[of.name](of, weights, "encoder.", vector);
    const embedding = embeddings[spec.embedding.name](spec.embedding, weights, "embedding.", outputs);
    const cell = cells[spec.cell.name](spec.cell, weights, "cell.");
    const attention = attentions[spec.attention.name](
      ...[spec.attention, weights, "attention.", cell.outputSize],
    );
    const bridge = bridges[spec.bridge.name](spec.bridge, weights, "bridge.");
    const head = heads[spec.head.name](spec.head, weights, "head.", embedding);
    const begin = (source) => {
      const { memory, summary } = encode(source);
      const carried = cell.begin();
      const first = bridge(summary);
      let used = 0;
      for (const leaf of first ? carried.leaves : []) {
        leaf.set(first.subarray(used, (used += leaf.length)));
      }
      const look = attention.begin(memory);
      const writer = { leaves: carried.leaves, shares: null };
      let fed = new Float32Array(attention.outputSize);
      writer.read = (token) => {
        const own = embedding.vector(token);
        const looked = look(carried.step(spec.input_feeding ? concat([own, fed]) : own));
        fed = writer.hidden = looked.read;
        writer.shares = looked.shares;
      };
      writer.scores = () => head(writer.hidden);
      return writer;
    };
    return { names: cell.names, begin };
  },
};

// Texts to tokens, by the kind of data, and tokens to text.

function vocabularyOf({ first, later, breaks, shown }) {
  const ids = new Map(first.map((piece, token) => [piece, token]).slice(UNK + 1));
  const ending = new Set(breaks);
  return {
    size: first.length,
    shown: (token) => shown[token],
    encode: (pieces) => pieces.map((piece) => ids.get(piece) ?? UNK),
    /** What a token adds to a text; `before` is the one before it, if there is one. */
    adds: (token, before) =>
      (before === undefined || ending.has(before) ? first : later)[token],
  };
}

/** What is read of a text: a source, the tokens of a prompt, and the `pieces` of the text, which
 * are the last tokens of either. */
const readings = {
  text(text, { encode }) {
    const pieces = Array.from(text);
    return { pieces, source: [], prompt: pieces.length ? encode(pieces) : [BOS] };
  },
  lines(text, { encode }) {
    const pieces = Array.from(text);
    return { pieces, source: [], prompt: [BOS, ...encode(pieces)] };
  },
  pairs(text, { encode }, changes) {
    const change = (read, name) => (name === "lower" ? read.toLowerCase() : read.normalize(name));
    const pieces = Array.from(changes.reduce(change, text));
    return { pieces, source: [...encode(pieces), EOS], prompt: [BOS] };
  },
};

// Random numbers, as in seqgen/decoders/noise.py.

const word = (key) => BigInt.asUintN(64, key);

function mix(key, value) {
  let mixed = word((key ^ word(value)) + 0x9e3779b97f4a7c15n);
  mixed = word((mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n);
  mixed = word((mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn);
  return mixed ^ (mixed >> 31n);
}

/** A function from a step to the number in (0, 1) that a text of this seed draws there. */
function noiseOf(seed) {
  const key = mix(mix(0n, BigInt(seed)), 0n);
  return (step) => (Number((mix(key, BigInt(step)) >> 24n) & 0xffffffffffn) + 0.5) * 2 ** -40;
}

// How a token is chosen, as in seqgen/decoders/sampling.py.

/** The softmax of `scores / temperature`, and the first of the best tokens. */
function softmax(scores, temperature) {
  let best = 0;
  for (let token = 1; token < scores.length; token++) if (scores[token] > scores[best]) best = token;
  const shares = scores.map((each) => Math.exp((each - scores[best]) / temperature));
  const total = shares.reduce((sum, each) => sum + each, 0);
  return { shares: shares.map((each) => each / total), best };
}

/** Tokens from the largest share to the smallest; ties go to the lowest ids. */
const ordered = (shares) =>
  Array.from(shares.keys()).sort((a, b) => shares[b] - shares[a] || a - b);

function keepOnly(shares, tokens) {
  const kept = new Float64Array(shares.length);
  for (const token of tokens) kept[token] = shares[token];
  return kept;
}

const truncations = {
  none: (shares) => shares,
  top_k: (shares, k) => keepOnly(shares, ordered(shares).slice(0, k)),
  top_p(shares, p) {
    if (p === 1) return shares;
    const order = ordered(shares);
    let [count, mass] = [0, 0];
    while (count < order.length && (!count || mass < p * (1 - ROUNDING))) {
      mass += shares[order[count++]];
    }
    return keepOnly(shares, order.slice(0, count));
  },
  min_p(shares, p) {
    const most = shares.reduce((a, b) => Math.max(a, b), 0);
    return shares.map((each) => (each >= Math.min(most, most * p * (1 - ROUNDING)) ? each : 0));
  },
};

/**
 * What follows from the scores of a step: the shares of the `model`, those that are drawn `from`,
 * and the `token` that is drawn at `point`, a number in (0, 1).
 */
function choose(scores, { temperature, truncation, value }, point) {
  const { shares: model, best } = softmax(scores, 1);
  if (temperature === 0) return { model, from: keepOnly(model, [best]).map(Math.sign), token: best };
  const kept = truncations[truncation](softmax(scores, temperature).shares, value);
  const total = kept.reduce((sum, each) => sum + each, 0);
  let [token, sum] = [0, kept[0]];
  while (sum <= point * total && token < kept.length - 1) sum += kept[++token];
  return { model, from: kept.map((each) => each / total), token };
}
