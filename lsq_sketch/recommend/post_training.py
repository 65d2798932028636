"""Methods that compress trained tables: a model with full tables is trained in their place."""

from __future__ import annotations

from typing import Any

from ..rng import generator
from .models import Model, make_model


def compresses_trained(model: Model) -> bool:
    """Whether the model's tables are made from trained full tables.

    Parameters
    ----------
    model : Model

    Returns
    -------
    bool
        False too where the budget has room for every table as it is.

    Examples
    --------
    >>> from lsq_sketch.recommend.models import GMF
    >>> [compresses_trained(GMF((50, 9), 4, m, 8, rng=0)) for m in ("pq", "ce")]
    [True, False]
    """
    return any(place.table.compresses_trained for place in model.store.placed)


def fine_tuned_from(model: Model) -> int | None:
    """The epoch after which codebooks are trained themselves; None: never.

    Examples
    --------
    >>> from lsq_sketch.recommend.models import GMF
    >>> fine_tuned_from(GMF((50, 60), 4, "pq", 8, rng=0, options={"fine_tune_from": 5}))
    5
    """
    return getattr(model.options, "fine_tune_from", None)


def uncompressed(model: Model, rng: Any = 0) -> Model:
    """The same model with full tables, at starting values of its own.

    Parameters
    ----------
    model : Model
    rng : int or numpy.random.Generator, default 0

    Returns
    -------
    Model

    Examples
    --------
    >>> from lsq_sketch.recommend.models import GMF
    >>> uncompressed(GMF((50, 60), 4, "pq", 8, rng=0)).parameter_count
    440
    """
    bias = "none" if model.bias == "none" else "full"
    settings = {**model.settings(), "method": "full", "options": None, "bias": bias}
    return make_model(**settings, rng=rng)


def compress(trained: Model, model: Model, rng: Any) -> None:
    """Make a model stand for a trained one with full tables, as well as its method can.

    Parameters
    ----------
    trained : Model
        From `uncompressed`.
    model : Model
        Changed in place.
    rng : int or numpy.random.Generator

    Examples
    --------
    >>> from lsq_sketch.recommend.models import GMF
    >>> model = GMF((50, 60), 4, "rq", 40, rng=0)
    >>> trained = uncompressed(model, rng=1)
    >>> compress(trained, model, rng=2)
    >>> error = abs(model.tables[0].table() - trained.tables[0].table()).mean()
    >>> bool(error < 0.5 * abs(trained.tables[0].table()).mean())
    True
    """
    random = generator(rng)
    of_tables = tuple(f"{place.name}/" for place in model.store.placed)
    for name, parameter in model.parameters.items():
        if not name.startswith(of_tables):
            parameter.value[...] = trained.parameters[name].value
    for place, full in zip(model.store.placed, trained.store.placed, strict=True):
        if place.table.compresses_trained:
            place.table.compress(full.table.table(), random)
        else:
            place.table.parameters["codebook"].value[...] = full.table.table()
