"""How finalists are left behind: of so many, who is trained with another seed.

Each training in full costs as much as dozens of candidates, and which of two networks is better is known
from a few seeds only. So all are trained once, the better half again, the better half of those once more
(successive halving, Jamieson and Talwalkar 2016, over seeds in place of epochs).
"""


def entrants_of(finalists: int, repeat: int) -> int:
    """How many of the finalists are trained the ``repeat``-th time, 0 for the first."""
    return max(1, -(-finalists // 2**repeat))
