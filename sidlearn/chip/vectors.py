"""Kernels with code of their own for LLVM, which makes no vectors of the plain loops: look-ups, and rows to columns.

A plain loop of look-ups stores line after line, and the vectors that are then read back have to wait for the stores:
lanes of the filter's solver took a quarter longer. Rows are interleaved value by value, at three times the price.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sidlearn._kernel import inline_kernel, vector_kernel

FEW, MANY = 8, 16
"""Lines that are looked up at a time."""


def _data(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    """Where an array's values lie."""
    return context.make_array(kind)(context, builder, array).data


def _parted(size: int) -> Callable:
    """Return type and code for numba of a look-up of `size` lines: all words as one vector, which is then parted."""

    def typed(typing: Any, table: Any, index: Any, first: Any, values: Any, slopes: Any) -> Any:
        from llvmlite import ir
        from numba.core import types

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            single = signature.args[3].dtype == types.float32
            number, word_type = (ir.FloatType(), ir.IntType(64)) if single else (ir.DoubleType(), ir.IntType(128))
            number_bytes = 4 if single else 8
            long, short, start = ir.IntType(64), ir.IntType(32), arguments[2]

            def data(argument: int) -> Any:
                return _data(context, builder, signature.args[argument], arguments[argument])

            words, places = builder.bitcast(data(0), word_type.as_pointer()), data(1)
            found = ir.Constant(ir.VectorType(word_type, size), ir.Undefined)
            for n in range(size):
                place = builder.load(builder.gep(places, [builder.add(start, ir.Constant(long, n))]))
                word = builder.load(builder.gep(words, [builder.zext(place, long)]), align=number_bytes)
                found = builder.insert_element(found, word, ir.Constant(short, n))
            pairs = builder.bitcast(found, ir.VectorType(number, 2 * size))
            for part, argument in enumerate((3, 4)):
                mask = ir.Constant(ir.VectorType(short, size), [ir.Constant(short, 2 * n + part) for n in range(size)])
                parted = builder.shuffle_vector(pairs, pairs, mask)
                target = builder.gep(data(argument), [start])
                builder.store(parted, builder.bitcast(target, parted.type.as_pointer()), align=number_bytes)
            return context.get_dummy_value()

        return types.void(table, index, types.int64, values, slopes), generate

    return typed


@vector_kernel(_parted(FEW))
def look_up_few(table, index, first, values, slopes):
    """Look up `FEW` lines, see `look_up`."""
    part(table.view(values.dtype), index, first, first + FEW, values, slopes)


@vector_kernel(_parted(MANY))
def look_up_many(table, index, first, values, slopes):
    """Look up `MANY` lines, see `look_up`."""
    part(table.view(values.dtype), index, first, first + MANY, values, slopes)


@inline_kernel
def part(pairs, index, first, end, values, slopes):
    """Take value at 0 and slope of lines out of a table."""
    for t in range(first, end):
        values[t], slopes[t] = pairs[2 * index[t]], pairs[2 * index[t] + 1]


@inline_kernel
def look_up(table, index, size, values, slopes):
    """Look up the first lines of `index`, int32, in a table of words of two floats; values at 0 and slopes, floats.

    `size` is a multiple of `FEW`, and a constant where the code is compiled.
    """
    if size % MANY:
        for t in range(0, size, FEW):
            look_up_few(table, index, t, values, slopes)
    else:
        for t in range(0, size, MANY):
            look_up_many(table, index, t, values, slopes)


ROWS = 8
"""Rows that are interleaved, and values of each at a time."""


def _interleaved(typing: Any, source: Any, first: Any, apart: Any, target: Any) -> Any:
    """Type and code of `interleave` for numba: three rounds in which rows exchange halves, quarters and eighths."""
    from llvmlite import ir
    from numba.core import types

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        row = ir.VectorType(ir.FloatType(), ROWS)
        short = ir.IntType(32)
        values, out = (_data(context, builder, signature.args[n], arguments[n]) for n in (0, 3))

        def place(start: Any, number: int, step: Any) -> Any:
            at = builder.add(start, builder.mul(step, ir.Constant(step.type, number)))
            return builder.gep(values, [at])

        def mixed(one: Any, other: Any, picked: list[int]) -> Any:
            mask = ir.Constant(ir.VectorType(short, ROWS), [ir.Constant(short, n) for n in picked])
            return builder.shuffle_vector(one, other, mask)

        rows = [
            builder.load(builder.bitcast(place(arguments[1], n, arguments[2]), row.as_pointer()), align=4)
            for n in range(ROWS)
        ]
        for away in (1, 2, 4):
            low = [n if not n & away else ROWS + n - away for n in range(ROWS)]
            high = [n + away if not n & away else ROWS + n for n in range(ROWS)]
            for n in range(ROWS):
                if not n & away:
                    one, other = rows[n], rows[n + away]
                    rows[n], rows[n + away] = mixed(one, other, low), mixed(one, other, high)
        for n, content in enumerate(rows):
            at = builder.gep(out, [ir.Constant(arguments[1].type, n * ROWS)])
            builder.store(content, builder.bitcast(at, row.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(source, types.int64, types.int64, target), generate


@vector_kernel(_interleaved)
def interleave(source, first, apart, target):
    """Put values of rows that lie so far `apart` in `source` side by side: `ROWS` of each, from `first` on, float32."""
    for value in range(ROWS):
        for row in range(ROWS):
            target[value * ROWS + row] = source[first + row * apart + value]
