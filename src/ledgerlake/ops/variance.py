"""What the ledger lacks, as CloudWatch metrics: one way for the cycle, the schedule and the command line.

`VariancePercent` is that of the environment's worst topic and formula, which the alarm watches: a sum over many topics
would hide a small one that lost everything.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, Protocol

from ledgerlake.ops import metrics

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

METRIC: Final = "VariancePercent"


class Varying(Protocol):
    """A topic's formula after a look at it."""

    @property
    def topic(self) -> str:
        """The topic."""

    @property
    def variance_percent(self) -> float:
        """Missing and doubled ids in percent of the left side."""


def publish(cloudwatch: "CloudWatchClient", environment: str, checks: Iterable[Varying]) -> None:
    """Publish the variance of the environment and of each topic that varies; of nothing checked, nothing."""
    worst: dict[str, float] = defaultdict(float)
    for checked in checks:
        worst[checked.topic] = max(worst[checked.topic], checked.variance_percent)
    if worst:
        metrics.put(cloudwatch, environment, METRIC, "Percent", max(worst.values()), worst)
