"""Conservation as a property: in any sequence of events, each message_id ends in one terminal state (tenet 1)."""

from collections.abc import Callable

import pytest
from conservation.machine import Conservation
from conservation.pipeline import Pipeline
from hypothesis import HealthCheck, Phase, settings
from hypothesis.internal.conjecture.engine import ConjectureRunner
from hypothesis.stateful import run_state_machine_as_test
from lakehouse import Lakehouse

# Derandomized: the same sequences in every run, so that a red test is a fault and not chance. Nothing is shrunk: a
# sequence costs seconds, and as found it is short enough to be read.
SEQUENCES = settings(
    max_examples=50,
    stateful_step_count=7,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
    print_blob=False,
)


@pytest.mark.timeout(3600)
def test_every_message_ends_where_the_model_says_whatever_happens_to_it(
    new_lakehouse_on_disk: Callable[[], Lakehouse], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Most of its sequences hypothesis makes by repeating parts of the one before: of fifty, few would be left.
    monkeypatch.setattr(ConjectureRunner, "generate_mutations_from", lambda *_: None, raising=False)
    # A lakehouse for each: the tables that topics share would grow, and with them what each sequence costs.
    run_state_machine_as_test(lambda: Conservation(Pipeline(new_lakehouse_on_disk(), "orders")), settings=SEQUENCES)
