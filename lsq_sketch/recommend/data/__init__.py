"""Data sets for recommenders: ratings, flights, clicks, synthetic; `load` knows them all."""

from .criteo import Buckets, load_criteo
from .dataset import Dataset, Interactions, encode
from .flights import load_flights
from .loading import load
from .movielens import load_movielens
from .ratings import Ratings, dataset_of_ratings, load_ratings, read_ratings
from .synthetic import Synthetic

__all__ = [
    "Buckets",
    "Dataset",
    "Interactions",
    "Ratings",
    "Synthetic",
    "dataset_of_ratings",
    "encode",
    "load",
    "load_criteo",
    "load_flights",
    "load_movielens",
    "load_ratings",
    "read_ratings",
]
