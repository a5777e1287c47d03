"""Sections `serving.exposures` and `serving.experiments`: what was shown is logged, and arms are compared."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from llmrec.config.base import Section


class ExposuresConfig(Section):
    """Off unless asked for. No words are logged: ids, places, propensities, and the numbers that a bandit reads."""

    enabled: bool = Field(False, description="log lists of /v1/recommend, and join what comes back (/v1/events, "
                          "/v1/feedback); needs live.enabled")  # fmt: skip
    path: str | None = Field(
        None, min_length=1, description="file of the log, on a disk of the machine that serves; none: beside live.path"
    )
    sample: float = Field(1.0, gt=0, le=1, description="share of the lists that is logged, drawn by chance")
    window_s: float = Field(
        86_400, gt=0, description="how long after a list an event or a click counts as its feedback, however late "
        "it is told",
    )  # fmt: skip
    max_lists: int = Field(1_000_000, ge=1, description="lists kept, some 2 kB each; the oldest leave")
    keep_days: float = Field(90, gt=0, description="older lists leave, too")
    flush_ms: float = Field(
        200, ge=1, description="how long a list may wait for the disk: answers do not; a killed server loses as much"
    )

    @field_validator("path")
    @classmethod
    def _is_a_file(cls, path: str | None) -> str | None:
        if path is not None and "://" in path:
            raise ValueError(f"a file on a disk of the machine that serves; {path.partition('://')[0]}:// is none")
        return path


class ArmExploration(Section):
    """As in a request."""

    policy: Literal["epsilon", "thompson", "linucb"]
    rate: float = Field(ge=0, le=1)


class ArmConfig(Section):
    """What an arm answers with; what is left out is as the request or the server has it."""

    weight: float = Field(1.0, gt=0, description="its share of the users, in proportion to the others' weights")
    bundle: str | None = Field(
        None, min_length=1, description="id of a bundle that replicas hold beside the served one; it must have the "
        "same encoder, or none",
    )  # fmt: skip
    variant: Literal["text", "no_text"] | None = Field(
        None, description="the bundle that the served one's run made with, or without, the words: found when the "
        "server starts, instead of `bundle`",
    )  # fmt: skip
    need: float | None = Field(None, ge=0, le=1, description="instead of the request's")
    explore: ArmExploration | None = Field(None, description="instead of the request's")

    @model_validator(mode="after")
    def _one_bundle(self) -> "ArmConfig":
        if self.bundle is not None and self.variant is not None:
            raise ValueError(f"variant: found {self.variant!r} beside bundle {self.bundle!r}, expected one of them")
        return self


class GuardsConfig(Section):
    """An arm that breaks one is stopped for good: its users are answered as if there were no experiment, and the log
    and /v1/experiments say why. The control is never stopped."""

    least: int = Field(200, ge=20, description="the last so many requests of an arm are judged, no fewer")
    max_error_rate: float | None = Field(0.05, ge=0, le=1, description="share of its requests answered 5xx")
    max_p95_ms: float | None = Field(None, gt=0, description="of the time to its answers")
    min_feedback_rate: float | None = Field(
        None, ge=0, le=1, description="share of its lists, old enough (exposures.window_s), that got any feedback"
    )


class ExperimentConfig(Section):
    """`split`: each user has one arm. `interleaving`: each list is drafted from both arms in turn."""

    arms: dict[str, ArmConfig] = Field(description="at least two, of interleaving exactly two")
    control: str = Field("", description="the arm that others are compared with, which no guard stops; the first one")
    design: Literal["split", "interleaving"] = "split"
    share: float = Field(1.0, gt=0, le=1, description="share of the users who take part")
    horizon_s: float = Field(
        604_800, gt=0, description="a user's outcome is settled so long after their first list, and counts then"
    )
    kinds: tuple[str, ...] = Field(("taken", "click"), min_length=1, description="feedback that counts as a success")
    margin: float = Field(0.0, ge=0, description="differences up to here count as none; 0: there is no such verdict")
    guards: GuardsConfig = GuardsConfig()

    @field_validator("arms")
    @classmethod
    def _names_are_plain(cls, arms: dict[str, ArmConfig]) -> dict[str, ArmConfig]:
        if len(arms) < 2:
            raise ValueError(f"arms: found {len(arms)}, expected at least two")
        return arms

    @field_validator("design")
    @classmethod
    def _two_are_interleaved(cls, design: str, earlier: object) -> str:
        arms = getattr(earlier, "data", {}).get("arms", {})
        if design == "interleaving" and len(arms) != 2:
            raise ValueError(f"interleaving: found {len(arms)} arms, expected two")
        return design

    @model_validator(mode="before")
    @classmethod
    def _first_is_control(cls, data: Any) -> Any:
        arms = data.get("arms") if isinstance(data, dict) else None
        return {"control": next(iter(arms)), **data} if isinstance(arms, dict) and arms else data

    @model_validator(mode="after")
    def _control_is_an_arm(self) -> "ExperimentConfig":
        if self.control not in self.arms:
            raise ValueError(f"control: found {self.control!r}, expected one of the arms {', '.join(self.arms)}")
        return self

    @property
    def others(self) -> tuple[str, ...]:
        """The arms but the control."""
        return tuple(arm for arm in self.arms if arm != self.control)
