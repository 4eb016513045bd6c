"""What `ledgerlake chaos` prints: what a run had to bear, and the ledger of its messages by identity."""

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ledgerlake.ops.chaos import Result
from ledgerlake.ops.chaos_ledger import ENDED, Standing

WRONG_SHOWN = 20


def report(result: Result) -> RenderableType:
    """The damage, the ledger by place, and the ids that are not where they must be."""
    reckoning = result.reckoning
    wrong = [Text(line, style="red") for line in reckoning.wrong[:WRONG_SHOWN]]
    total = sum(reckoning.expected.values())
    verdict = (
        f"[bold green]✓ each of {total:,} ids stands in exactly its place[/]"
        if reckoning.balanced
        else f"[bold red]✗ {len(reckoning.wrong):,} of {total:,} ids do not stand in exactly their place[/]"
    )
    return Group(_damage(result), _ledger(result), *wrong, Text.from_markup(f"{verdict}, {result.seconds:.0f} s"))


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
