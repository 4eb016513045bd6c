"""What `ledgerlake chaos` prints: what a run had to bear, and the ledger of its messages by identity."""

from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ledgerlake.ops.chaos import Result
from ledgerlake.ops.chaos_ledger import ENDED, Standing
from ledgerlake.ops.reconcile_report import reconciliation_table

WRONG_SHOWN = 20


def report(result: Result) -> RenderableType:
    """The damage, the ledger by place, the ids that are not where they must be, and the three formulas."""
    now = datetime.now(UTC)
    wrong = [Text(line, style="red") for line in result.reckoning.wrong[:WRONG_SHOWN]]
    formulas = reconciliation_table([checked.row(result.run, now) for checked in result.formulas])
    return Group(_damage(result), _ledger(result), *wrong, formulas, _verdict(result))


def _verdict(result: Result) -> Text:
    wrong, total = len(result.reckoning.wrong), sum(result.reckoning.expected.values())
    time = f", {result.seconds:.0f} s"
    if wrong:
        return Text(f"✗ {wrong:,} of {total:,} ids do not stand in exactly their place{time}", style="bold red")
    if not result.balanced:
        return Text(
            f"✗ each of {total:,} ids stands in its place, but the books do not balance{time}", style="bold red"
        )
    return Text(f"✓ each of {total:,} ids stands in exactly its place, and the books balance{time}", style="bold green")


def _damage(result: Result) -> Table:
    standing, damage = result.reckoning.standing, result.damage
    table = Table(title="What failed on the way", title_justify="left", header_style="bold")
    table.add_column("what")
    table.add_column("how often", justify="right")
    table.add_row("cycles that ended red", f"{len(damage.cycles):,}")
    for handler, count in sorted(damage.calls.items()):
        table.add_row(f"calls of {handler} that failed", f"{count:,}")
    table.add_row("rows of RAW beyond the messages sent", f"{_again(result):,}")
    table.add_row("records that Firehose refused, and redriven", f"{standing.put_right['firehose_errors']:,}")
    table.add_row("messages that SQS gave up, and redriven", f"{standing.put_right['dlq_errors']:,}")
    return table


def _again(result: Result) -> int:
    """Deliveries into RAW that were repeated by a failure."""
    return result.reckoning.standing.rows["raw"].total() - result.reckoning.lands


def _ledger(result: Result) -> Table:
    reckoning = result.reckoning
    title = (
        f"Ledger of {escape(result.run)}: {reckoning.sent:,} messages sent, {sum(reckoning.expected.values()):,} ids"
    )
    table = Table(title=title, title_justify="left", header_style="bold")
    table.add_column("place")
    for name in ("ids that must be there", "ids that are", "rows"):
        table.add_column(name, justify="right")
    for place in ENDED:
        rows = "" if place.value not in reckoning.standing.rows else f"{reckoning.standing.rows[place.value].total():,}"
        table.add_row(place.value, f"{reckoning.expected[place]:,}", f"{reckoning.found[place]:,}", rows)
    table.add_row("firehose_errors", "0", f"{len(reckoning.standing.rows['firehose_errors']):,}", "")
    table.add_row("duplicates of the above", "", "", f"{_duplicates(reckoning.standing):,}")
    return table


def _duplicates(standing: Standing) -> int:
    raw = standing.rows["raw"]
    return raw.total() - len(raw)
