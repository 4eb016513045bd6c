"""Failures on purpose in a deployed environment: failpoints armed through the settings of its functions and jobs.

Nothing else of a function or job changes, and `restore` puts back what was there; so does the next apply.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from ledgerlake.ops.environment import Environment

VARIABLE = "LEDGERLAKE_SETTINGS"
ARGUMENT = "--ledgerlake_settings"
# An update takes seconds; the waiter would look only every five.
LOOK_EVERY, LOOKS = 1, 300


class Saboteur:
    """Arms the failpoints of an environment's functions and jobs, and disarms them."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._functions: set[str] = set()
        self._jobs: set[str] = set()

    @classmethod
    @contextmanager
    def at_work(cls, environment: Environment) -> Iterator[Self]:
        """What is armed meanwhile is disarmed in the end, also when that is an error or Ctrl-C."""
        saboteur = cls(environment)
        try:
            yield saboteur
        finally:
            saboteur.restore()

    def arm_function(self, handler: str, faults: str) -> None:
        """Have a handler's function pass these failpoints from its next call on; returns when it does."""
        self._functions.add(handler)
        client, name = self._environment.functions, self._environment.function(handler)
        variables = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        changed = variables | {VARIABLE: with_faults(variables[VARIABLE], faults)}
        if changed != variables:
            client.update_function_configuration(FunctionName=name, Environment={"Variables": changed})
            client.get_waiter("function_updated").wait(
                FunctionName=name, WaiterConfig={"Delay": LOOK_EVERY, "MaxAttempts": LOOKS}
            )

    def arm_job(self, stage: str, faults: str) -> None:
        """Have a stage's job pass these failpoints from its next run on."""
        self._jobs.add(stage)
        client, name = self._environment.glue, self._environment.job(stage)
        job = client.get_job(JobName=name)["Job"]
        arguments = job["DefaultArguments"]
        changed = arguments | {ARGUMENT: with_faults(arguments[ARGUMENT], faults)}
        if changed != arguments:
            client.update_job(JobName=name, JobUpdate=self._whole(job) | {"DefaultArguments": changed})  # type: ignore[arg-type]

    def restore(self) -> None:
        """Disarm everything that was armed."""
        for handler in sorted(self._functions):
            self.arm_function(handler, "")
        for stage in sorted(self._jobs):
            self.arm_job(stage, "")

    def _whole(self, job: Any) -> dict[str, Any]:
        """The job as UpdateJob takes it: what is left out there is reset; no empty text, no capacity beside workers."""
        shape: Any = self._environment.glue.meta.service_model.shape_for("JobUpdate")
        taken = set(shape.members)
        taken -= {"AllocatedCapacity", "MaxCapacity"} if "WorkerType" in job else {"AllocatedCapacity"}
        return {field: value for field, value in job.items() if field in taken and value != ""}


def with_faults(settings: str, faults: str) -> str:
    """The settings document with these failpoints; without any it is as Terraform wrote it."""
    document = json.loads(settings)
    if document.pop("failpoints", "") == faults:
        return settings
    if faults:
        document["failpoints"] = faults
    return json.dumps(document, separators=(",", ":"), sort_keys=True)
