"""CloudWatch: a policy may narrow metric data to a namespace, as ours do."""

import pytest
from botocore.exceptions import ClientError
from tests.functional.local.cloud import allow

DATA = [{"MetricName": "VariancePercent", "Value": 25.0, "Dimensions": [{"Name": "environment", "Value": "t"}]}]


def test_metric_data_go_to_the_policys_namespace_and_no_other(cloud):
    ours = allow("cloudwatch:PutMetricData", "*") | {
        "Condition": {"StringEquals": {"cloudwatch:namespace": "ledgerlake"}}
    }
    client = cloud.as_role(cloud.role("metrics-writer", ours), "cloudwatch")
    client.put_metric_data(Namespace="ledgerlake", MetricData=DATA)
    with pytest.raises(ClientError, match="AccessDenied"):
        client.put_metric_data(Namespace="other", MetricData=DATA)
    [found] = cloud.client("cloudwatch").list_metrics(Namespace="ledgerlake")["Metrics"]
    assert found["MetricName"] == "VariancePercent"
