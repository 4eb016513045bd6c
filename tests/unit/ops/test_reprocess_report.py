"""What a reprocess says to a person."""

from rich.console import Console, RenderableType

from ledgerlake.jobs.comparison import ColumnChange, LayerReport, ReprocessReport, Sample
from ledgerlake.ops.reprocess_report import report

CURATED = LayerReport(
    layer="curated",
    equal=3,
    changed=1,
    columns=(ColumnChange(column="note", rows=1, samples=(Sample(id="k1", before=None, after="\x1b[31mred"),)),),
    failed_no_longer=2,
)


def text(shown: RenderableType) -> str:
    console = Console(width=200, no_color=True)
    with console.capture() as captured:
        console.print(shown)
    return captured.get()


def test_a_comparison_names_what_changes_and_both_ways_out() -> None:
    told = text(report(ReprocessReport(topic="orders", id="r1", action="build", layers=(CURATED,))))
    assert "3 as it is, 1 changed, 2 errors answered" in told
    assert ["note", "1", "k1", "NULL", "\\x1b[31mred"] in [line.split() for line in told.splitlines()]
    assert "ledgerlake reprocess orders --publish r1" in told
    assert "ledgerlake reprocess orders --discard r1" in told


def test_a_table_that_would_not_change_is_not_offered_for_publishing() -> None:
    same = LayerReport(layer="standardized", equal=7)
    told = text(report(ReprocessReport(topic="orders", id="r1", action="build", layers=(same,))))
    assert "nothing would change" in told
    assert "--publish" not in told


def test_a_comparison_that_a_cycle_overtook_says_so() -> None:
    told = text(report(ReprocessReport(topic="orders", id="r1", action="build", layers=(CURATED,), outdated=True)))
    assert "went on while it was compared" in told
    assert "--publish" not in told


def test_what_is_published_and_what_is_discarded_is_said() -> None:
    published = ReprocessReport(topic="orders", id="r1", action="publish", published=("standardized", "curated"))
    assert "published standardized, curated of orders" in text(report(published))
    assert "before-r1" in text(report(published))
    half = ReprocessReport(topic="orders", id="r1", action="discard", published=("standardized",))
    assert "discarded; what was published stays: standardized" in text(report(half))
