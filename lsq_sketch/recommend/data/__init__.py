"""Data sets for recommenders: ratings, flights, clicks, synthetic."""

from .dataset import Dataset, Interactions

__all__ = ["Dataset", "Interactions"]
