"""Saved models and checkpoints: arrays in one .npz file, the rest as JSON in it, no pickle."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CheckpointError
from ..files import replacing
from .data import Buckets
from .models import Model, make_model

METADATA = "metadata"
KEPT = "buckets/kept"
FORMAT = 1


def write_arrays(path: Path, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
    """Write arrays and plain values to a file, whole or not at all.

    Parameters
    ----------
    path : Path
        The name is used as it is.
    arrays : dict of str to ndarray
    metadata : dict
        What JSON can hold; floats come back to the bit.

    Raises
    ------
    OSError
        If it cannot be written; an existing file is then untouched.
    """
    text = np.array(json.dumps({"format": FORMAT, **metadata}))
    with replacing(Path(path)) as temporary, open(temporary, "wb") as file:
        np.savez(file, allow_pickle=False, **{METADATA: text}, **arrays)


def read_arrays(path: Path, kind: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what `write_arrays` wrote.

    Parameters
    ----------
    path : Path
    kind : str
        The ``kind`` its metadata must have; "" takes any.

    Returns
    -------
    arrays : dict of str to ndarray
    metadata : dict

    Raises
    ------
    CheckpointError
        If the file is none of ours, damaged, or of another kind.
    OSError
        If it cannot be read.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
        metadata = json.loads(str(arrays.pop(METADATA)))
        found = metadata["format"], metadata["kind"]
    except (ValueError, KeyError, TypeError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"{path} is no saved model or checkpoint, or is damaged ({type(error).__name__}). "
            f"Train and save it again."
        ) from error
    if found[0] != FORMAT or kind not in ("", found[1]):
        raise CheckpointError(
            f"{path} is a {found[1]} of format {found[0]}; expected a {kind or 'model'} of format "
            f"{FORMAT}. Train and save it again."
        )
    return arrays, metadata


def model_arrays(model: Model) -> dict[str, np.ndarray]:
    """All arrays of a model: trained values, and the tables' untrained arrays. Not copies."""
    values = {f"values/{name}": p.value for name, p in model.parameters.items()}
    return values | {f"state/{name}": array for name, array in model.store.state.items()}


def copy_model(model: Model) -> dict[str, np.ndarray]:
    """Copies of all arrays of a model."""
    return {name: array.copy() for name, array in model_arrays(model).items()}


def restore_model(model: Model, arrays: dict[str, np.ndarray]) -> None:
    """Put arrays from `copy_model` or a file back into a model of the same settings.

    Parameters
    ----------
    model : Model
    arrays : dict of str to ndarray

    Raises
    ------
    CheckpointError
        If names or shapes are others.
    """
    restore_arrays(model_arrays(model), arrays)


def restore_arrays(own: dict[str, np.ndarray], arrays: dict[str, np.ndarray]) -> None:
    """Put arrays from a file into a model's own.

    Parameters
    ----------
    own : dict of str to ndarray
        Overwritten.
    arrays : dict of str to ndarray

    Raises
    ------
    CheckpointError
        If names or shapes are others.
    """
    if {name: a.shape for name, a in own.items()} != {n: a.shape for n, a in arrays.items()}:
        odd = sorted(set(own) ^ set(arrays)) or ["shapes"]
        raise CheckpointError(
            f"the arrays do not belong to this model ({odd[0]} differs); expected those of a "
            f"model with the same settings."
        )
    for name, array in own.items():
        array[...] = arrays[name]


def save_model(
    model: Model,
    path: Path,
    about: dict[str, Any] | None = None,
    buckets: Buckets | None = None,
) -> None:
    """Save a model for prediction: written whole, or not at all.

    Parameters
    ----------
    model : Model
    path : Path
    about : dict, optional
        Anything else to keep with it that JSON can hold.
    buckets : Buckets, optional
        Of the data it was trained on, if its categories are hashed: see `load_buckets`.

    Raises
    ------
    OSError
        If it cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from lsq_sketch.recommend.models import GMF
    >>> model = GMF((5, 5), 4, rng=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(model, Path(folder) / "model.npz")
    ...     again, _ = load_model(Path(folder) / "model.npz")
    >>> bool((model.predict([[1, 2]]) == again.predict([[1, 2]])).all())
    True
    """
    metadata: dict[str, Any] = {"kind": "model", "model": model.settings(), "about": about or {}}
    arrays = model_arrays(model)
    if buckets is not None:
        arrays[KEPT] = buckets.kept
        metadata["buckets"] = buckets.number
    write_arrays(path, arrays, metadata)


def load_buckets(path: Path) -> Buckets | None:
    """Which ID each hashed category had in the data a saved model was trained on.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Buckets or None
        None if the data had no hashed categories.

    Raises
    ------
    CheckpointError, OSError
        As for `load_model`.
    """
    arrays, metadata = read_arrays(path, kind="")
    if KEPT not in arrays:
        return None
    return Buckets(metadata["buckets"], arrays[KEPT], tuple(metadata["model"]["cardinalities"]))


def saved_model(path: Path, settings: dict[str, Any]) -> Model:
    """A model of the settings in a file, at its starting values.

    Parameters
    ----------
    path : Path
    settings : dict
        From `lsq_sketch.recommend.models.Model.settings`.

    Raises
    ------
    CheckpointError
        If this version knows no such model: methods lose options and gain others.
    """
    try:
        return make_model(**settings)
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} has a model that this version of lsq-sketch does not make ({error}) Use the "
            f"version that saved it, or train and save it again."
        ) from error


def load_model(path: Path) -> tuple[Model, dict[str, Any]]:
    """A saved model, or the model of a checkpoint (its best one, if it has one).

    Parameters
    ----------
    path : Path

    Returns
    -------
    model : Model
    about : dict
        What was kept with it.

    Raises
    ------
    CheckpointError
        If the file is none of ours or damaged.
    OSError
        If it cannot be read.
    """
    arrays, metadata = read_arrays(path, kind="")
    model = saved_model(path, metadata["model"])
    arrays.pop(KEPT, None)
    if metadata["kind"] == "checkpoint":
        prefix = "best/" if any(name.startswith("best/") for name in arrays) else "now/"
        arrays = {
            name.removeprefix(prefix): array
            for name, array in arrays.items()
            if name.startswith(prefix)
        }
    restore_model(model, arrays)
    return model, metadata.get("about", {})
