"""Failures are switched on and off in the settings document, and nothing else of it changes."""

from ledgerlake.ops.sabotage import with_faults

# As Terraform's jsonencode writes it: keys sorted, nothing between.
DEPLOYED = '{"buckets":{"raw":"r"},"prefix":"p"}'


def test_armed_and_disarmed_the_document_is_what_terraform_wrote():
    armed = with_faults(DEPLOYED, "processor.before_put=kill@0.1")
    assert armed == '{"buckets":{"raw":"r"},"failpoints":"processor.before_put=kill@0.1","prefix":"p"}'
    assert with_faults(armed, "") == DEPLOYED


def test_a_document_that_says_so_already_stays_as_it_is():
    loosely = '{"prefix": "p"}'
    assert with_faults(loosely, "") == loosely
