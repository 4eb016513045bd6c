"""Metrics of the environment and of the topics concerned."""

from ledgerlake.ops import metrics


class CloudWatch:
    """Keeps what is published."""

    def __init__(self):
        self.calls = []

    def put_metric_data(self, Namespace, MetricData):
        named = [
            ({each["Name"]: each["Value"] for each in one["Dimensions"]}, one["MetricName"], one["Unit"], one["Value"])
            for one in MetricData
        ]
        self.calls.append((Namespace, named))


def test_a_topic_has_a_metric_only_while_there_is_something_to_tell():
    cloudwatch = CloudWatch()
    metrics.put(cloudwatch, "prod", "Drift", "Count", 3, {"events": 3, "quiet": 0})
    assert cloudwatch.calls == [
        (
            "ledgerlake",
            [
                ({"environment": "prod"}, "Drift", "Count", 3),
                ({"environment": "prod", "topic": "events"}, "Drift", "Count", 3),
            ],
        )
    ]


def test_many_topics_are_several_calls():
    cloudwatch = CloudWatch()
    metrics.put(cloudwatch, "prod", "Drift", "Count", 1, {f"t{number}": 1 for number in range(metrics.MOST)})
    assert [len(data) for _, data in cloudwatch.calls] == [metrics.MOST, 1]
