"""What the ledger lacks, as CloudWatch metrics: one way for the cycle, the schedule and the command line.

`VariancePercent` is that of the environment's worst topic and formula, which the alarm watches: a sum over many topics
would hide a small one that lost everything. A topic has its own metric only while it varies, since each is paid for.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDatumTypeDef

NAMESPACE: Final = "ledgerlake"
METRIC: Final = "VariancePercent"
# PutMetricData takes no more data in one call.
MOST = 1000


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
    if not worst:
        return
    data = [_datum(max(worst.values()), environment=environment)]
    data += [_datum(percent, environment=environment, topic=topic) for topic, percent in worst.items() if percent]
    for start in range(0, len(data), MOST):
        cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=data[start : start + MOST])


def _datum(percent: float, **dimensions: str) -> "MetricDatumTypeDef":
    named = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    return {"MetricName": METRIC, "Dimensions": named, "Value": percent, "Unit": "Percent"}  # type: ignore[typeddict-item]
