"""EventBridge Scheduler's keywords in a target's input, which the emulator passes on as they are written.

Source: EventBridge Scheduler user guide, "Adding context attributes".
"""

import uuid
from datetime import UTC, datetime
from typing import Any

from ministack.services import eventbridge

SCHEDULER = "aws.scheduler"

_invoke_target = eventbridge._invoke_target


def install() -> None:
    """Fill the keywords in before a target is called."""
    eventbridge._invoke_target = invoke_target


def invoke_target(target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None) -> Any:
    """Call a schedule's target with its input filled in; a rule's target as ever."""
    if event.get("Source") == SCHEDULER and "Input" in target:
        target = {**target, "Input": filled_in(target["Input"], rule, event["Time"])}
    return _invoke_target(target, event, rule, view)


def filled_in(text: str, schedule: dict[str, Any], at: float) -> str:
    """The input with what each keyword stands for."""
    for keyword, value in {
        "schedule-arn": schedule.get("Arn", ""),
        "scheduled-time": f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "execution-id": uuid.uuid4().hex[:16],
        "attempt-number": "1",
    }.items():
        text = text.replace(f"<{SCHEDULER}.{keyword}>", value)
    return text
