"""How small a table can be, and how many rounds it takes: bounds, simulation and memory.

Dense CCE with ``k`` parameters an output column, until ``E e_i <= eps e_0``: the paper's bound and
the sharper ones of the claims, solved for ``i``; trajectories that are simulated; and what each
``k`` takes to store beside the full table.
"""

from .rounds import Plan, Row, plan
from .setting import PlanningError, Setting, from_problem, from_spectrum
from .storage import Memory, memory

__all__ = [
    "Memory",
    "Plan",
    "PlanningError",
    "Row",
    "Setting",
    "from_problem",
    "from_spectrum",
    "memory",
    "plan",
]
