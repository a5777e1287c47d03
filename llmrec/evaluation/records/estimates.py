"""A figure with its interval, a paired comparison, a point of a curve."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

#: `no difference`: none larger than the comparison's `margin`.
Verdict = Literal["better", "worse", "no difference", "cannot tell"]

_LOWER_IS_BETTER = ("rmse", "mae", "log_loss", "ece", "gini", "loss", "brier")


def lower_is_better(metric: str) -> bool:
    """Whether a smaller value of `metric` (such as `rmse`, or `gini@10`) is the better one."""
    return metric.split("@")[0] in _LOWER_IS_BETTER


def goodness(metric: str, value: float) -> float:
    """The larger, the better: `value`, its sign turned where lower is better."""
    return -value if lower_is_better(metric) else value


class ResultRecord(BaseModel):
    """What every part shares: unknown keys are errors, and so are NaN and infinity, which JSON cannot hold."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Estimate(ResultRecord):
    """A figure with its confidence interval (of the run's `confidence`), if one was computed."""

    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = Field(None, ge=0, description="independent units behind it: users, or rows where there are none")
    se: float | None = Field(None, ge=0, description="standard error")

    @model_validator(mode="after")
    def _ordered(self) -> "Estimate":
        if (self.low is None) != (self.high is None):
            raise ValueError(f"interval [{self.low}, {self.high}] has one end; expected both or neither")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"interval [{self.low}, {self.high}] runs backwards")
        return self


class Comparison(ResultRecord):
    """Paired: `difference` = model - against over the same users; `ratio` = difference / against (0.05 is +5 %)."""

    model: str
    against: str
    metric: str
    difference: Estimate
    ratio: Estimate | None = None
    p_value: float | None = Field(None, ge=0, le=1)
    p_adjusted: float | None = Field(None, ge=0, le=1, description="corrected for `n_comparisons`")
    n_comparisons: int = Field(1, ge=1)
    smallest_detectable: float | None = Field(
        None, ge=0, description="true difference that this test finds with 80 % power"
    )
    monte_carlo: float | None = Field(None, ge=0, description="standard error of the interval's ends by the draws")
    seed_se: float | None = Field(None, ge=0, description="the part of the standard error that is training noise")
    margin: float | None = Field(None, ge=0, description="differences up to here count as none")
    closed: bool = Field(False, description="the comparisons before it were not decided: a hint, no verdict")
    verdict: Verdict

    @model_validator(mode="after")
    def _verdict_follows_the_interval(self) -> "Comparison":
        if self.verdict == "cannot tell":
            return self
        low, high = self.difference.low, self.difference.high
        if self.verdict == "no difference":
            return self._within_its_margin()
        grows = (self.verdict == "better") != lower_is_better(self.metric)
        if low is None or high is None or not (low > 0 if grows else high < 0):
            raise ValueError(
                f"{self.model} against {self.against} on {self.metric}: verdict {self.verdict!r}, but the interval of "
                f"the difference is [{low}, {high}]; expected one that excludes zero on that side, or 'cannot tell'"
            )
        return self

    def _within_its_margin(self) -> "Comparison":
        low, high, margin = self.difference.low, self.difference.high, self.margin
        if low is None or high is None or margin is None or not -margin < low <= high < margin:
            raise ValueError(
                f"{self.model} against {self.against} on {self.metric}: verdict 'no difference', but the interval of "
                f"the difference is [{low}, {high}] and the margin {margin}; expected one inside ±margin"
            )
        return self


class Point(ResultRecord):
    """One point of a curve: recall at cutoff x, a loss after epoch x."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
