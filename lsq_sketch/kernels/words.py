"""Numbers that several threads read and write at once.

Words are 64-bit integers of an array. Each of these functions is done as a whole, and in the
order in which it stands among what its thread does.
"""

from llvmlite import ir
from numba import types
from numba.core.registry import cpu_target

from .registers import INT, INT_BYTES, after, in_registers

ORDER = "seq_cst"
WAITS = cpu_target.target_context.codegen().magic_tuple()[0].startswith(("x86_64", "i686"))
"""Whether the processor has an instruction that waits a moment, to the good of other threads."""


def _pointer(builder, words, place):
    address = after(builder, words.place, (place, INT(INT_BYTES)))
    return builder.inttoptr(address, INT.as_pointer())


def _read(builder, words, place):
    return builder.load_atomic(_pointer(builder, words, place), ORDER, INT_BYTES, typ=INT)


def _write(builder, words, place, value):
    builder.store_atomic(value, _pointer(builder, words, place), ORDER, INT_BYTES)


def _add(builder, words, place, amount):
    builder.atomic_rmw("add", _pointer(builder, words, place), amount, ORDER)


def _replace(builder, words, place, expected, value):
    pointer = _pointer(builder, words, place)
    pair = builder.cmpxchg(pointer, expected, value, ORDER, ORDER)
    return builder.zext(builder.extract_value(pair, 1), INT)


def _wait(builder):
    if WAITS:
        kind = ir.FunctionType(ir.VoidType(), [])
        name = "llvm.x86.sse2.pause"
        known = builder.module.globals.get(name)
        builder.call(known or ir.Function(builder.module, kind, name), [])


@in_registers(_read, returns=types.int64)
def read(words, place):
    """The word at a place."""
    return words[place]


@in_registers(_write)
def write(words, place, value):
    """Set it."""
    words[place] = value


@in_registers(_add)
def add(words, place, amount):
    """Add to it."""
    words[place] += amount


@in_registers(_replace, returns=types.int64)
def replace(words, place, expected, value):
    """Set it to ``value`` if it is ``expected``; 1 if it was, else 0."""
    if words[place] != expected:
        return 0
    words[place] = value
    return 1


@in_registers(_wait)
def wait():
    """A moment, of some ten to hundred cycles."""
