"""Settings of the generator, read once in `__main__`. Environment variables start with BROADSHEET_."""

import os
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from generator.adapters.render_worker import WorkerLimits
from generator.domain.request import Limits
from runtime.settings import RuntimeSettings

_MIB = 1024 * 1024
# Claiming, storing and publishing come on top of what a budget covers.
_HANDLER_MARGIN_S = 60.0


def _processors() -> int:
    return max(1, len(os.sched_getaffinity(0)))


class GeneratorSettings(RuntimeSettings):
    """What a generator does, how much at once, and how much one report may take."""

    generator_role: Literal["all", "planner", "renderer"] = Field(
        default="all",
        description="planner: plans executions; renderer: makes files; all: both in one process",
    )
    # A process that is killed blocks its execution or units this long; work in hand lengthens its lease.
    generator_lease_s: Annotated[float, Field(ge=1, le=600)] = 30.0

    # Work that was put off, or left behind by a process that died, is looked for this often.
    generator_poll_s: Annotated[float, Field(gt=0, le=60)] = 1.0
    # What settled this long ago without being published is published again; longer than publishing takes.
    republish_after_s: Annotated[float, Field(gt=0)] = 60.0

    # Planning asks Qlik for iteration values; a site that needs longer is tried again, not waited for.
    planning_budget_s: Annotated[float, Field(ge=1)] = 240.0
    max_units: Annotated[int, Field(ge=1)] = Field(default=20_000, description="files in one execution")
    max_deliveries: Annotated[int, Field(ge=1)] = Field(
        default=50_000, description="deliveries of one execution"
    )
    default_deadline_s: Annotated[float, Field(ge=1)] = Field(
        default=3600.0, description="for an execution whose task does not exist"
    )

    # Units wait for Qlik most of their time, so more of them are in hand than workers render.
    units_at_once: Annotated[int, Field(ge=1, le=64)] = 4
    # With pauses of 1, 5, 15, 30 and then 60 s: a Qlik site may be away for three minutes.
    unit_attempts: Annotated[int, Field(ge=1, le=100)] = 7
    # Qlik may take minutes to open a large app; with the margin it stays below kafka_max_poll_interval_s.
    unit_budget_s: Annotated[float, Field(ge=1)] = 480.0
    max_template_bytes: Annotated[int, Field(ge=1)] = 50 * _MIB

    render_workers: Annotated[int, Field(ge=1, le=64)] = Field(
        default_factory=_processors, description="render processes; default: one for each processor"
    )
    # The libraries map about 0.4 GiB; a million cells need about 1 GiB more.
    render_memory_bytes: Annotated[int, Field(ge=256 * _MIB)] = 2048 * _MIB
    render_cpu_s: Annotated[float, Field(ge=1)] = 120.0
    render_wall_s: Annotated[float, Field(ge=1)] = 180.0
    render_output_bytes: Annotated[int, Field(ge=1)] = 200 * _MIB

    @model_validator(mode="after")
    def _budgets_fit(self) -> Self:
        most = self.kafka_max_poll_interval_s - _HANDLER_MARGIN_S
        for name in ("planning_budget_s", "unit_budget_s"):
            if getattr(self, name) > most:
                raise ValueError(
                    f"{name} has to be at most {most:g} s, which is kafka_max_poll_interval_s less "
                    f"{_HANDLER_MARGIN_S:g} s; otherwise Kafka takes a generator that works for dead"
                )
        if self.render_wall_s > self.unit_budget_s:
            raise ValueError("render_wall_s has to be at most unit_budget_s, of which rendering is a part")
        return self

    def plans(self) -> bool:
        """Return whether this process plans executions."""
        return self.generator_role in {"all", "planner"}

    def renders(self) -> bool:
        """Return whether this process makes files."""
        return self.generator_role in {"all", "renderer"}

    def plan_limits(self) -> Limits:
        """Return how large a plan may get."""
        return Limits(
            units=self.max_units,
            deliveries=self.max_deliveries,
            default_deadline=timedelta(seconds=self.default_deadline_s),
        )

    def worker_limits(self) -> WorkerLimits:
        """Return what one render may use."""
        return WorkerLimits(
            memory_bytes=self.render_memory_bytes,
            cpu_s=self.render_cpu_s,
            wall_s=self.render_wall_s,
            output_bytes=self.render_output_bytes,
        )
