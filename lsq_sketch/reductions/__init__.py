"""Reductions of a least-squares problem to one without its ``n`` rows (THEORY section 2).

Each is a factorisation of the design matrix, made once:

- `svd.SingularValueReduction`, dense designs: ``X = U S V'``, targets ``U'Y``;
- `elimination.EliminationReduction`, sparse designs: the columns of a large field are mutually
  orthogonal and are eliminated in closed form; the few others remain as a dense block;
- `normal.NormalReduction`, sparse designs too large for either: the sparse Gram matrix.
"""

from .base import NoiseColumns, Reduction, State, choose_reduction

__all__ = ["NoiseColumns", "Reduction", "State", "choose_reduction"]
