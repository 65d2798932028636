"""GMF in PyTorch, and its training."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lsq_sketch.recommend.data import Interactions
from lsq_sketch.recommend.models import GMF

from .tables import peer_of

OPTIMIZERS: dict[str, Any] = {
    "Adam": torch.optim.Adam,
    "Adam, fused": partial(torch.optim.Adam, fused=True),
    "SparseAdam": torch.optim.SparseAdam,
}


class PlainGmf(nn.Module):
    """The inner product of a user's and an item's vector."""

    def __init__(self, model: GMF, sparse: bool):
        super().__init__()
        self.users, self.items = (peer_of(table, sparse) for table in model.tables)

    def forward(self, ids: Tensor) -> Tensor:
        """Scores of a batch."""
        return (self.users(ids[:, 0]) * self.items(ids[:, 1])).sum(1)


class PlainTraining:
    """Batches by one permutation, on the mean cross-entropy.

    Parameters
    ----------
    model : GMF
        Ours, whose numbers are the starting values.
    rows : Interactions
    batch_size : int
    optimizer : str
        One of `OPTIMIZERS`.
    learning_rate : float
    threads : int
        Of PyTorch.
    """

    def __init__(
        self,
        model: GMF,
        rows: Interactions,
        batch_size: int,
        optimizer: str,
        learning_rate: float,
        threads: int,
    ):
        self.batch_size, self.threads, self.tables = batch_size, threads, model.tables
        self.model = PlainGmf(model, sparse=optimizer == "SparseAdam")
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters(), lr=learning_rate)
        self.loss = nn.BCEWithLogitsLoss()
        self.ids = torch.from_numpy(rows.ids.astype(np.int64))
        self.labels = torch.from_numpy(rows.labels)

    def step(self, rows: slice | Tensor) -> Tensor:
        """One batch; its mean loss before the step."""
        torch.set_num_threads(self.threads)
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(self.model(self.ids[rows]), self.labels[rows])
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def epoch(self, share: float = 1.0) -> None:
        """A part of an epoch; losses are not read, which would cost time."""
        order = torch.randperm(len(self.labels))
        for start in range(0, round(share * len(order)), self.batch_size):
            self.step(order[start : start + self.batch_size])

    def trained(self) -> np.ndarray:
        """All trained numbers, end to end in the order of ours."""
        peers = (self.model.users, self.model.items)
        numbers = [
            peer.trained()[name].detach().numpy().ravel()
            for peer, table in zip(peers, self.tables, strict=True)
            for name in table.parameters
        ]
        return np.concatenate(numbers)
