"""What the scheduler's keywords become."""

from ledgerlake.local.schedules import filled_in

SCHEDULE = {"Arn": "arn:aws:scheduler:us-east-1:000000000000:schedule/default/cycle"}


def test_the_scheduled_time_is_iso_8601_in_utc():
    assert (
        filled_in('{"at": "<aws.scheduler.scheduled-time>"}', SCHEDULE, 1768730400.9)
        == '{"at": "2026-01-18T10:00:00Z"}'
    )


def test_other_text_stays():
    assert filled_in('{"a": "<b>", "arn": "<aws.scheduler.schedule-arn>"}', SCHEDULE, 0).startswith(
        '{"a": "<b>", "arn": "arn:'
    )
