"""Look-ups in tables of straight lines, several at a time: kernels with code of their own for LLVM.

What LLVM makes of a plain loop stores line after line, and the vectors that are then read back have to wait for the
stores: lanes of the filter's solver took a quarter longer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sidlearn._kernel import inline_kernel, vector_kernel

FEW, MANY = 8, 16
"""Lines that are looked up at a time."""


def _parted(size: int) -> Callable:
    """Return type and code for numba of a look-up of `size` lines: all words as one vector, which is then parted."""

    def typed(typing: Any, table: Any, index: Any, first: Any, values: Any, slopes: Any) -> Any:
        from llvmlite import ir
        from numba.core import types

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            long, short, start = ir.IntType(64), ir.IntType(32), arguments[2]

            def data(argument: int) -> Any:
                array = context.make_array(signature.args[argument])
                return array(context, builder, arguments[argument]).data

            words, places = builder.bitcast(data(0), long.as_pointer()), data(1)
            found = ir.Constant(ir.VectorType(long, size), ir.Undefined)
            for n in range(size):
                place = builder.load(builder.gep(places, [builder.add(start, ir.Constant(long, n))]))
                word = builder.load(builder.gep(words, [builder.zext(place, long)]))
                found = builder.insert_element(found, word, ir.Constant(short, n))
            pairs = builder.bitcast(found, ir.VectorType(ir.FloatType(), 2 * size))
            for part, argument in enumerate((3, 4)):
                mask = ir.Constant(ir.VectorType(short, size), [ir.Constant(short, 2 * n + part) for n in range(size)])
                parted = builder.shuffle_vector(pairs, pairs, mask)
                target = builder.gep(data(argument), [start])
                builder.store(parted, builder.bitcast(target, parted.type.as_pointer()), align=4)
            return context.get_dummy_value()

        return types.void(table, index, types.int64, values, slopes), generate

    return typed


@vector_kernel(_parted(FEW))
def look_up_few(table, index, first, values, slopes):
    """Look up `FEW` lines, see `look_up`."""
    part(table.view(np.float32), index, first, first + FEW, values, slopes)


@vector_kernel(_parted(MANY))
def look_up_many(table, index, first, values, slopes):
    """Look up `MANY` lines, see `look_up`."""
    part(table.view(np.float32), index, first, first + MANY, values, slopes)


@inline_kernel
def part(pairs, index, first, end, values, slopes):
    """Take value at 0 and slope of lines out of a table."""
    for t in range(first, end):
        values[t], slopes[t] = pairs[2 * index[t]], pairs[2 * index[t] + 1]


@inline_kernel
def look_up(table, index, size, values, slopes):
    """Look up the first lines of `index`, int32, in a table of words; values at 0 and slopes, float32.

    `size` is a multiple of `FEW`, and a constant where the code is compiled.
    """
    if size % MANY:
        for t in range(0, size, FEW):
            look_up_few(table, index, t, values, slopes)
    else:
        for t in range(0, size, MANY):
            look_up_many(table, index, t, values, slopes)
