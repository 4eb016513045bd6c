"""Prove a deployed environment step by step: its parts as they should be, and known records where they must end."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ledgerlake.errors import LedgerlakeError
from ledgerlake.ops import verify_ledger, verify_parts, verify_records
from ledgerlake.ops.environment import Environment
from ledgerlake.ops.verify_parts import Check

STEPS: Mapping[str, Callable[[Environment, Callable[[str], None]], Iterator[Check]]] = {
    "whoami": verify_parts.whoami,
    "tf-outputs": verify_parts.outputs,
    "lambdas": verify_parts.lambdas,
    "sqs": verify_parts.queues,
    "ddb": verify_parts.dynamodb,
    "glue": verify_parts.glue,
    "s3-notifications": verify_records.dropped_file,
    "idempotency": verify_records.idempotency,
    "e2e": verify_records.end_to_end,
    "ledger": verify_ledger.balances,
}
"""The steps in their order: what is cheap and explains the failure of what follows comes first."""


@dataclass(frozen=True)
class Result:
    """A step's checks, and how long it took."""

    step: str
    checks: Sequence[Check]
    seconds: float


def run(environment: Environment, out: Console, steps: Sequence[str]) -> bool:
    """Run steps in their order, print a table of checks and what differs; returns whether all hold."""
    results: list[Result] = []
    for step in [step for step in STEPS if step in steps]:
        out.print(f"[bold]verify {step}[/]")
        results.append(_step(environment, out, step))
    out.print(_table(results))
    wrong = [(result.step, check) for result in results for check in result.checks if not check.holds]
    for step, check in wrong:
        out.print(f"[bold red]✗ {step}[/]: {escape(check.what)}", highlight=False)
        for difference in check.differences:
            out.print(f"    {escape(difference)}", highlight=False, soft_wrap=True)
    total = sum(len(result.checks) for result in results)
    verdict = (
        f"[bold red]{len(wrong)} of {total} checks fail.[/]" if wrong else f"[bold green]All {total} checks hold.[/]"
    )
    out.print(verdict, highlight=False)
    return not wrong


def _step(environment: Environment, out: Console, step: str) -> Result:
    began = time.monotonic()
    checks: list[Check] = []
    with out.status("working") as spinner:

        def say(text: str) -> None:
            spinner.update(text)
            out.print(f"  [dim]{time.monotonic() - began:6.1f} s  {escape(text)}[/]", highlight=False)

        try:
            for check in STEPS[step](environment, say):
                checks.append(check)
                if not check.holds:
                    out.print(f"  [bold red]✗[/] {escape(check.what)}", highlight=False)
        except (LedgerlakeError, BotoCoreError, ClientError) as error:
            checks.append(Check("the step can be worked through", (str(error),)))
    return Result(step, checks, time.monotonic() - began)


def _table(results: Sequence[Result]) -> Table:
    table = Table(title="Checks", title_justify="left", header_style="bold")
    for name in ("step", "check", "", "seconds"):
        table.add_column(name, justify="right" if name == "seconds" else "left")
    for result in results:
        for number, check in enumerate(result.checks):
            mark = "[green]✓[/]" if check.holds else "[bold red]✗[/]"
            first = number == 0
            table.add_row(
                result.step if first else "",
                escape(check.what),
                mark,
                f"{result.seconds:.1f}" if first else "",
                end_section=number == len(result.checks) - 1,
            )
    return table
