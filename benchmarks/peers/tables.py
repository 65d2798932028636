"""Methods of compressing a table, in PyTorch: IDs in, vectors out.

Each starts from the numbers of one of our tables. Hash functions, digits and assignments are
look-up tables made beforehand, which spares the peer their arithmetic. Where PyTorch has several
plain ways to write a line, it is the fastest of those that were tried.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from lsq_sketch.recommend.methods.base import Table

from . import places


def array_of(table: Table, name: str) -> Tensor:
    """A copy of one of the table's parameters."""
    return torch.from_numpy(table.parameters[name].value.copy())


def embedding_of(table: Table, name: str, sparse: bool = False) -> nn.Embedding:
    """A look-up table that starts from one of the table's parameters."""
    return nn.Embedding.from_pretrained(array_of(table, name), freeze=False, sparse=sparse)


def linear_of(weight: Tensor, bias: Tensor | None = None) -> nn.Linear:
    """A linear layer; its weight is the transpose of ours."""
    inputs, outputs = weight.shape
    layer = nn.Linear(inputs, outputs, bias=bias is not None)
    layer.weight = nn.Parameter(weight.T.contiguous())
    if bias is not None:
        layer.bias = nn.Parameter(bias)
    return layer


class PlainTable(nn.Module, ABC):
    """IDs in, vectors out."""

    @abstractmethod
    def trained(self) -> dict[str, Tensor]:
        """Trained numbers as ours are named and shaped."""


class Full(PlainTable):
    """A vector for each ID."""

    def __init__(self, table: Table, sparse: bool = False):
        super().__init__()
        self.codebook = embedding_of(table, "codebook", sparse)

    def forward(self, ids: Tensor) -> Tensor:
        """Vectors of a batch."""
        return self.codebook(ids)

    def trained(self) -> dict[str, Tensor]:
        """Trained numbers as ours are named and shaped."""
        return {"codebook": self.codebook.weight}


class Hash(Full):
    """A row of the codebook for each ID."""

    places: Tensor

    def __init__(self, table: Table):
        super().__init__(table)
        self.register_buffer("places", torch.from_numpy(places.slice_places(table)[:, 0, 0].copy()))

    def forward(self, ids: Tensor) -> Tensor:
        """Vectors of a batch."""
        return self.codebook(self.places[ids])


class SumOfSlices(Full):
    """Chunks side by side, each a sum of rows of the codebook."""

    places: Tensor

    def __init__(self, table: Table):
        super().__init__(table)
        self.register_buffer("places", torch.from_numpy(places.slice_places(table).copy()))

    def forward(self, ids: Tensor) -> Tensor:
        """Vectors of a batch."""
        slices = self.codebook(self.places[ids])
        return (slices.sum(1) if slices.shape[1] > 1 else slices).flatten(1)


class HashEmbedding(PlainTable):
    """Rows of the codebook, summed with learned weights."""

    buckets: Tensor
    sets: Tensor

    def __init__(self, table: Table):
        super().__init__()
        self.codebook = embedding_of(table, "codebook")
        self.weights = embedding_of(table, "weights")
        buckets, sets = places.weighted_places(table)
        self.register_buffer("buckets", torch.from_numpy(buckets))
        self.register_buffer("sets", torch.from_numpy(sets))

    def forward(self, ids: Tensor) -> Tensor:
        """Vectors of a batch."""
        weights = self.weights(self.sets[ids])
        return (self.codebook(self.buckets[ids]) * weights[:, :, None]).sum(1)

    def trained(self) -> dict[str, Tensor]:
        """Trained numbers as ours are named and shaped."""
        return {"codebook": self.codebook.weight, "weights": self.weights.weight}


class Robe(PlainTable):
    """Blocks of one circular array."""

    places: Tensor

    def __init__(self, table: Table):
        super().__init__()
        self.array = nn.Parameter(array_of(table, "codebook").flatten())
        self.register_buffer("places", torch.from_numpy(places.circular_places(table)))

    def forward(self, ids: Tensor) -> Tensor:
        """Vectors of a batch."""
        found = self.places[ids]
        return self.array.index_select(0, found.flatten()).view(found.shape)

    def trained(self) -> dict[str, Tensor]:
        """Trained numbers as ours are named and shaped."""
        return {"codebook": self.array}


class TensorTrain(PlainTable):
    """Products of three small matrices for each ID."""

    digits: Tensor

    def __init__(self, table: Table):
        super().__init__()
        self.first = nn.Parameter(array_of(table, "first"))
        self.second = nn.Parameter(array_of(table, "second"))
        self.third = nn.Parameter(array_of(table, "third"))
        self.register_buffer("digits", torch.from_numpy(places.digits(table)))

    def forward(self, ids: Tensor) -> Tensor:
        """Vectors of a batch."""
        n, rank = len(ids), self.third.shape[2]
        digits = self.digits[ids]
        first = self.first.index_select(0, digits[:, 0])
        second = self.second.index_select(0, digits[:, 1])
        third = self.third.index_select(0, digits[:, 2])
        left = torch.bmm(first, second).view(n, -1, rank)
        return torch.bmm(left, third.transpose(1, 2)).flatten(1)

    def trained(self) -> dict[str, Tensor]:
        """Trained numbers as ours are named and shaped."""
        return {"first": self.first, "second": self.second, "third": self.third}


class LowDimensional(PlainTable):
    """A narrow table times a matrix."""

    places: Tensor

    def __init__(self, table: Table):
        super().__init__()
        self.narrow = embedding_of(table, "narrow")
        self.projection = linear_of(array_of(table, "projection"))
        self.register_buffer("places", torch.from_numpy(places.narrow_places(table)))

    def forward(self, ids: Tensor) -> Tensor:
        """Vectors of a batch."""
        return self.projection(self.narrow(self.places[ids]))

    def trained(self) -> dict[str, Tensor]:
        """Trained numbers as ours are named and shaped."""
        return {"narrow": self.narrow.weight, "projection": self.projection.weight.T}


class Dhe(PlainTable):
    """A network on hashes."""

    features: Tensor

    def __init__(self, table: Table):
        super().__init__()
        self.register_buffer("features", torch.from_numpy(places.features(table)))
        self.layers = [
            linear_of(array_of(table, f"weight{layer}"), array_of(table, f"bias{layer}"))
            for layer in range(len(table.parameters) // 2)
        ]
        between = [module for layer in self.layers for module in (layer, nn.ReLU())]
        self.network = nn.Sequential(*between[:-1])

    def forward(self, ids: Tensor) -> Tensor:
        """Vectors of a batch."""
        return self.network(self.features[ids])

    def trained(self) -> dict[str, Tensor]:
        """Trained numbers as ours are named and shaped."""
        found = {}
        for number, layer in enumerate(self.layers):
            found[f"weight{number}"], found[f"bias{number}"] = layer.weight.T, layer.bias
        return found


PEERS: dict[str, type[PlainTable]] = {
    "full": Full, "hash": Hash, "hash-embedding": HashEmbedding, "robe": Robe,
    "tensor-train": TensorTrain, "low-dimensional": LowDimensional, "dhe": Dhe,
}  # fmt: skip
"""By the names of our methods; the others are `SumOfSlices`."""


def peer_of(table: Table, sparse: bool) -> PlainTable:
    """The module that does what a table of ours does."""
    if table.method == "full":
        return Full(table, sparse)
    kind: Any = PEERS.get(table.method, SumOfSlices)
    return kind(table)
