"""ledgerlake's own CloudWatch metrics: the environment's, which an alarm watches, and each topic's that is concerned.

A topic has its own metric only while there is something to tell, since each is paid for.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.literals import StandardUnitType
    from mypy_boto3_cloudwatch.type_defs import MetricDatumTypeDef

NAMESPACE: Final = "ledgerlake"
# PutMetricData takes no more data in one call.
MOST = 1000


def put(
    cloudwatch: "CloudWatchClient",
    environment: str,
    metric: str,
    unit: "StandardUnitType",
    whole: float,
    topics: Mapping[str, float],
) -> None:
    """Publish a metric: `whole` of the environment, and the values other than 0 of its topics."""

    def datum(value: float, **dimensions: str) -> "MetricDatumTypeDef":
        named = [{"Name": name, "Value": each} for name, each in dimensions.items()]
        return {"MetricName": metric, "Dimensions": named, "Value": value, "Unit": unit}  # type: ignore[typeddict-item]

    data = [datum(whole, environment=environment)]
    data += [datum(value, environment=environment, topic=topic) for topic, value in topics.items() if value]
    for start in range(0, len(data), MOST):
        cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=data[start : start + MOST])
