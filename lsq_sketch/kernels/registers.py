"""Vector registers from Numba: LLVM code for kernels whose loops Numba does not vectorise well.

Numba leaves vectors to LLVM's loop vectoriser, which is made for long loops over one index. The
functions of `products` and `slices` write their vectors down themselves, with the help of these,
and LLVM compiles them for the processor at hand, wherever that is. Vectors longer than a register
become several. Addresses, strides and counts are 64-bit integers; strides are in bytes.

A function that takes arrays counts references to them, which costs as much as several dozen
vectors; an intrinsic does not.
"""

from functools import update_wrapper
from inspect import Parameter, signature
from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.core.errors import TypingError
from numba.core.registry import cpu_target
from numba.extending import intrinsic

INT, INDEX, FLOAT, DOUBLE = ir.IntType(64), ir.IntType(32), ir.FloatType(), ir.DoubleType()
INT_BYTES, INDEX_BYTES, FLOAT_BYTES, DOUBLE_BYTES = 8, 4, 4, 8

ENTRIES = types.float32, types.int64, types.int32
"""Of arrays: the code would take anything else for them."""


def floats_of_a_register(features):
    """By a processor's features, as LLVM names them: ``+avx2,-avx512f``."""
    found = features.split(",")
    if "+avx512f" in found:
        return 16
    return 8 if "+avx" in found else 4


LANES = floats_of_a_register(cpu_target.target_context.codegen().magic_tuple()[-1])
"""Floats of a register, of what Numba compiles for; there are 32 of them, or 16 with 8 floats."""


class Array(NamedTuple):
    """Where an array's first entry is, its strides and its shape."""

    place: ir.Value
    strides: list[ir.Value]
    shape: list[ir.Value]


def in_registers(generate, entries=ENTRIES, returns=types.void):
    """Compile a function as LLVM code; where nothing is compiled it stays what it is.

    ``generate`` is given the builder and the function's arguments, arrays as `Array` and integers
    of 64 bits, and makes what the function returns, if anything. The function itself says in
    NumPy what the code does. ``entries`` are the types that entries of its arrays may have.
    """

    def lower(context, builder, kinds, values):
        arguments = []
        for kind, value in zip(kinds.args, values, strict=True):
            if isinstance(kind, types.Array):
                array = context.make_array(kind)(context, builder, value)
                strides, shape = (
                    cgutils.unpack_tuple(builder, sizes) for sizes in (array.strides, array.shape)
                )
                arguments.append(Array(builder.ptrtoint(array.data, INT), strides, shape))
            else:
                arguments.append(context.cast(builder, value, kind, types.intp))
        found = generate(builder, *arguments)
        return context.get_dummy_value() if returns == types.void else found

    def decorate(function):
        if int(getattr(config, "DISABLE_JIT", 0)):  # set by Numba when it is imported
            return function

        def typed(typing_context, *arguments):
            for kind in arguments:
                if isinstance(kind, types.Array) and kind.dtype not in entries:
                    name = function.__name__
                    raise TypingError(f"{name} got an array of {kind.dtype}, expected {entries}.")
            return returns(*arguments), lower

        update_wrapper(typed, function)
        known = signature(function)
        context = Parameter("typing_context", Parameter.POSITIONAL_ONLY)
        parameters = [context, *known.parameters.values()]
        setattr(typed, "__signature__", known.replace(parameters=parameters))  # noqa: B010
        return intrinsic(typed)

    return decorate


def after(builder, place, *steps):
    """An address some numbers of strides further on."""
    for number, stride in steps:
        place = builder.add(place, builder.mul(number, stride))
    return place


def at_most(builder, length, count):
    """The numbers 0, 1, ..., none of them beyond ``count - 1``."""
    last = builder.sub(count, INT(1))
    return [
        builder.select(builder.icmp_signed("<", INT(number), last), INT(number), last)
        for number in range(length)
    ]


def floats(count):
    """The type of a vector of so many floats."""
    return ir.VectorType(FLOAT, count)


def constant(kind, entries):
    """A vector of the given entries."""
    return ir.Constant(kind, list(entries))


def spread(builder, value, count):
    """A vector whose entries are all the same."""
    empty = ir.Constant(ir.VectorType(value.type, count), ir.Undefined)
    first = builder.insert_element(empty, value, INDEX(0))
    pattern = constant(ir.VectorType(INDEX, count), [0] * count)
    return builder.shuffle_vector(first, empty, pattern)


def first_of(builder, count, length, skipped=0):
    """A mask: which entries of a vector, after some skipped, are among the first ``count``."""
    places = constant(ir.VectorType(INT, length), range(skipped, skipped + length))
    return builder.icmp_signed("<", places, spread(builder, count, length))


def load(builder, place, kind, mask=None):
    """A number or a vector, from an address; 0 where a mask is not set, and nothing is read."""
    source = builder.inttoptr(place, kind.as_pointer())
    if mask is None:
        return builder.load(source, align=FLOAT_BYTES)
    zero = constant(kind, [0.0] * kind.count)
    arguments = [source, INDEX(FLOAT_BYTES), mask, zero]
    return _call(builder, f"llvm.masked.load.v{kind.count}f32.p0", kind, arguments)


def store(builder, value, place, mask=None):
    """Write a number or a vector to an address; only where a mask, if any, is set."""
    target = builder.inttoptr(place, value.type.as_pointer())
    if mask is None:
        builder.store(value, target, align=FLOAT_BYTES)
        return
    arguments = [value, target, INDEX(FLOAT_BYTES), mask]
    _call(builder, f"llvm.masked.store.v{value.type.count}f32.p0", ir.VoidType(), arguments)


def multiply_add(builder, a, b, c):
    """``a b + c`` of vectors, rounded once where the processor can."""
    return _call(builder, f"llvm.fmuladd.v{a.type.count}f32", a.type, [a, b, c])


def sum_of(builder, vectors):
    """The sum of all entries of some vectors: of the vectors first, then of halves, and so on."""
    total = vectors[0]
    for vector in vectors[1:]:
        total = builder.fadd(total, vector)
    length = total.type.count
    while length > 1:
        length //= 2
        low, high = (
            builder.shuffle_vector(
                total, total, constant(ir.VectorType(INDEX, length), range(first, first + length))
            )
            for first in (0, length)
        )
        total = builder.fadd(low, high)
    return builder.extract_element(total, INDEX(0))


def repeat(builder, count, start, step):
    """Run ``step`` ``count`` times: it makes the next values of those it is given.

    Returns the last values, which are ``start`` if the count is 0.
    """
    before = builder.block
    head, body, after = (builder.append_basic_block(name) for name in ("head", "body", "after"))
    builder.branch(head)
    builder.position_at_end(head)
    done, *values = (builder.phi(value.type) for value in (INT(0), *start))
    builder.cbranch(builder.icmp_signed("<", done, count), body, after)
    builder.position_at_end(body)
    following = [builder.add(done, INT(1)), *step(values)]
    for phi, first, later in zip((done, *values), (INT(0), *start), following, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(later, builder.block)
    builder.branch(head)
    builder.position_at_end(after)
    return values


def _call(builder, name, result, arguments):
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)
