"""What generated loops call: elementary functions that vectorise, and torch's own matrix product.

A polynomial stands in for a call of the C library wherever that call would keep a loop from being
vectorised; each is within 3e-7 of the truth, relative to 1 or to the result.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import torch
from llvmlite import binding, ir
from numba import njit, types
from numba.core.compiler import Compiler
from numba.extending import intrinsic

f = np.float32

FAST: dict[str, Any] = {
    # Infinities and NaN keep their meaning: a mask may make them. Without `error_model` a check
    # for division by zero keeps LLVM from vectorising anything that divides.
    "fastmath": {"contract", "reassoc", "nsz", "arcp", "afn"},
    "error_model": "numpy",
    "nogil": True,
    "cache": True,
}


class Apart(Compiler):
    """Compiles a function whose arrays share no memory, which spares its loops a check of each
    pair, and lets those vectorise that have too many pairs for checks."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.state.flags = self.state.flags.copy()
        self.state.flags.noalias = True


@intrinsic
def bits_of(typing: Any, x: Any) -> Any:
    """The 32 bits of a float32, as an int32."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.int32(types.float32), code


@intrinsic
def of_bits(typing: Any, bits: Any) -> Any:
    """The float32 of 32 bits."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), code


@njit(inline="always", **FAST)
def tanh(x):
    """A quotient of polynomials; beyond 7.9 it is 1 to the last bit."""
    x = min(max(x, f(-7.90531110763549805)), f(7.90531110763549805))
    y = x * x
    p = (f(-2.76076847742355e-16) * y + f(2.00018790482477e-13)) * y + f(-8.60467152213735e-11)
    p = (p * y + f(5.12229709037114e-08)) * y + f(1.48572235717979e-05)
    p = (p * y + f(6.37261928875436e-04)) * y + f(4.89352455891786e-03)
    q = (f(1.19825839466702e-06) * y + f(1.18534705686654e-04)) * y + f(2.26843463243900e-03)
    q = q * y + f(4.89352518554385e-03)
    return x * p / q


@njit(inline="always", **FAST)
def sigmoid(x):
    """By tanh: sigmoid(x) = (1 + tanh(x / 2)) / 2."""
    return f(0.5) + f(0.5) * tanh(f(0.5) * x)


@njit(inline="always", **FAST)
def exp(x):
    """2**n * e**r with a whole n and |r| <= log(2) / 2."""
    y = min(max(x, f(-87.0)), f(88.37))
    n = np.int32(y * f(1.44269504) + (f(0.5) if y >= f(0.0) else f(-0.5)))
    r = y - f(n) * f(0.693359375) - f(n) * f(-2.12194440e-4)
    p = (f(1.9875691500e-4) * r + f(1.3981999507e-3)) * r + f(8.3334519073e-3)
    p = (p * r + f(4.1665795894e-2)) * r + f(1.6666665459e-1)
    p = p * r + f(5.0000001201e-1)
    found = (p * r * r + r + f(1.0)) * of_bits(np.int32((n + np.int32(127)) << np.int32(23)))
    return f(np.inf) if x > f(88.37) else (f(0.0) if x < f(-103.0) else found)


@njit(inline="always", **FAST)
def log(x):
    """n * log(2) + log(m) for x = 2**n * m, log(m) = 2 atanh((m - 1) / (m + 1))."""
    bits = bits_of(x) - np.int32(0x3F3504F3)  # so that m lies in [sqrt(1/2), sqrt(2)]
    n = bits >> np.int32(23)
    m = of_bits(np.int32((bits & np.int32(0x007FFFFF)) + np.int32(0x3F3504F3)))
    s = (m - f(1.0)) / (m + f(1.0))
    y = s * s
    p = (f(0.22222222) * y + f(0.28571429)) * y + f(0.4)
    p = (p * y + f(0.66666667)) * y + f(2.0)
    found = f(n) * f(0.693147181) + s * p
    found = found if x < f(np.inf) else x
    return found if x > f(0.0) else (f(-np.inf) if x == f(0.0) else f(np.nan))


@njit(inline="always", **FAST)
def log1p(x):
    """log(1 + x); for small x as 2 atanh(x / (2 + x)), since 1 + x would lose it."""
    s = x / (f(2.0) + x)
    y = s * s
    p = (f(0.15384615) * y + f(0.18181818)) * y + f(0.22222222)
    p = (p * y + f(0.28571429)) * y + f(0.4)
    p = (p * y + f(0.66666667)) * y + f(2.0)
    return s * p if abs(x) < f(0.5) else log(f(1.0) + x)


def _library() -> ctypes.CDLL | None:
    folder = Path(torch.__file__).parent / "lib"
    paths = [*folder.glob("libtorch_cpu.*"), *folder.glob("torch_cpu.dll")]
    return ctypes.CDLL(str(paths[0])) if paths else None


LIBRARY = _library()
SYMBOL = "seqgen_sgemm"
FOUND = getattr(LIBRARY, "sgemm_", None)
HAS_PRODUCT = FOUND is not None
if FOUND is not None:
    binding.add_symbol(SYMBOL, ctypes.cast(FOUND, ctypes.c_void_p).value)


_THREADS = sorted((Path(torch.__file__).parent / "lib").glob("libgomp*.so*"))
openmp: Any = ctypes.CDLL(str(_THREADS[0])) if _THREADS else None
"""The library of torch's threads, where that is GNU's; within its threads MKL starts no others."""

sgemm = types.ExternalFunction(SYMBOL, types.void(*[types.intp] * 13))


NO, TRANSPOSED, ONE = ord("N"), ord("T"), 0x3F800000  # the last one is a float32 of 1, as bits


@njit(**FAST)
def sizes(m, lda, ldc, k, n, ldb, transposed):
    """Of a `product` the numbers that BLAS takes by address; `lda` to `ldc` are those from a row
    to the next."""
    flag = TRANSPOSED if transposed else NO
    return np.array([m, k, n, lda, ldb, ldc, NO, flag, ONE, 0], np.int32)


@njit(**FAST)
def product(sizes, a, b, c, k, n, ldb, transposed):
    """`c = a @ b`, row by row: `a: [m, k]`, `b: [k, n]` or, if `transposed`, `[n, k]`.

    What `sizes` has, too, are numbers that the compiler knows, for a row alone. BLAS sees rows as
    columns, so it is told c' = b' a'.
    """
    if sizes[0] == 1:
        row_product(k, n, a, b, ldb, transposed, c)
        return
    at = sizes.ctypes.data
    m, inner, width, lda, distance, ldc = at, at + 4, at + 8, at + 12, at + 16, at + 20
    no, flag, one, zero = at + 24, at + 28, at + 32, at + 36
    x, y, z = a.ctypes.data, b.ctypes.data, c.ctypes.data
    sgemm(flag, no, width, m, inner, one, y, distance, x, lda, zero, z, ldc)


@njit(pipeline_class=Apart, **FAST)
def row_product(k, n, a, b, ldb, transposed, c):
    """As `product` for one row: BLAS takes 4.1 microseconds for k = 128 and n = 512, this 2.4."""
    if transposed:
        for j in range(n):
            row, total = b[j * ldb :], f(0.0)
            for i in range(k):
                total += a[i] * row[i]
            c[j] = total
        return
    for j in range(n):
        c[j] = f(0.0)
    whole = k - k % 4
    for i in range(0, whole, 4):
        row0, row1 = b[i * ldb :], b[(i + 1) * ldb :]
        row2, row3 = b[(i + 2) * ldb :], b[(i + 3) * ldb :]
        x0, x1, x2, x3 = a[i], a[i + 1], a[i + 2], a[i + 3]
        for j in range(n):
            c[j] += x0 * row0[j] + x1 * row1[j] + x2 * row2[j] + x3 * row3[j]
    for i in range(whole, k):
        row = b[i * ldb :]
        for j in range(n):
            c[j] += a[i] * row[j]
