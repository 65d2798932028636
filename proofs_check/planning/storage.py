"""What ``k`` parameters an output column take to store, beside the full table."""

from __future__ import annotations

from dataclasses import dataclass

NUMBER_BYTES = 4
"""Bytes of a parameter: float32, as in training."""

INDEX_BYTES = 4


@dataclass(frozen=True)
class Memory:
    """What ``k`` parameters an output column take, in bytes of float32.

    Attributes
    ----------
    full_table : int
        ``d1 x d2``.
    codebook : int
        ``k x d2``: what is trained at once.
    hashed : int
        Codebook and one bucket or cluster number an ID: what a table compressed by hashing or
        clustering takes (Sparse CCE, alternating CCE).
    previous_table : int
        ``T_{i-1}``, the part of ``H_i`` that Dense CCE learned.
    noise : dict of str to int
        The fresh part of ``H_i``, stored: dense, or a bucket and a sign an ID. From a seed it
        takes nothing, but whitened noise cannot be drawn without the singular vectors of ``X``.
    """

    full_table: int
    codebook: int
    hashed: int
    previous_table: int
    noise: dict[str, int]

    def training(self, noise: str) -> int:
        """Codebook and ``H_i`` as stored."""
        return self.codebook + self.previous_table + self.noise[noise]


def memory(d1: int, d2: int, k: int) -> Memory:
    """Memory of Dense CCE with ``k`` parameters an output column.

    Examples
    --------
    >>> needed = memory(d1=1000, d2=10, k=64)
    >>> needed.codebook, needed.full_table, needed.training("gaussian")
    (2560, 40000, 258560)
    """
    m = k - d2
    dense = NUMBER_BYTES * d1 * m
    table = NUMBER_BYTES * d1 * d2
    codebook = NUMBER_BYTES * k * d2
    sketch = INDEX_BYTES * d1 + -(-d1 // 8)
    noise = {"gaussian": dense, "whitened": dense, "count-sketch": sketch}
    return Memory(table, codebook, codebook + INDEX_BYTES * d1, table, noise)
