"""Adversarial evidence: a search for the instance on which a claim comes closest to failing.

See `search`. What is found can be saved with `proofs_check.instances.save_instance` and run again.
"""

from .search import SearchResult, Worst, search

__all__ = ["SearchResult", "Worst", "search"]
