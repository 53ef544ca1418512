"""What a number should be: its goal, and the least that counts."""

from typing import NamedTuple


class Target(NamedTuple):
    """What is aimed at. Where less is better, the goal is the smaller of the two numbers."""

    goal: float
    least: float

    @property
    def is_less_better(self) -> bool:
        """Whether it is a cost."""
        return self.goal < self.least

    def verdict(self, value: float) -> str:
        """Say what `value` reaches, or by how much it misses the least that counts."""
        sign = -1 if self.is_less_better else 1
        if sign * value >= sign * self.goal:
            return "goal reached"
        if sign * value >= sign * self.least:
            return "least reached"
        return f"misses the least by {abs(value / self.least - 1):.0%}"

    def cells(self, value: float, digits: int = 0) -> tuple[str, str, str]:
        """Return the cells of a table under TARGET_HEADS."""
        return f"{self.goal:.{digits}f}", f"{self.least:.{digits}f}", self.verdict(value)


TARGET_HEADS = ("goal", "least", "")
