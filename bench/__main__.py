"""`python -m bench`: measure one or more sizes, hold the lanes against each other, show the figures and keep them."""

import argparse
import datetime as dt
import json
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

from bench import report, rounds

HOME = Path(".local/bench")


def main() -> int:
    """Run the benchmark; its figures go to the terminal, to .local/bench/, and into a document if asked."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[300_000], help="rows of the first batch")
    parser.add_argument("--rounds", type=int, default=3, help="how often both lanes run, taking turns at going first")
    parser.add_argument("--topics", type=int, nargs="+", help="measure cycles over so many small topics instead")
    parser.add_argument("--update", type=Path, help="a Markdown file whose part for these figures is written anew")
    asked = parser.parse_args()
    figures = measure(asked)
    kind = figures["kind"]
    report.show(figures)
    kept = HOME / f"{kind}-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}.json"
    kept.write_text(json.dumps(figures, indent=2) + "\n")
    sys.stdout.write(f"kept as {kept}\n")
    if asked.update:
        report.update(asked.update, figures)
        sys.stdout.write(f"written into {asked.update}\n")
    return 0


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """Measure one size after the other, each in a folder of its own that is removed afterwards."""
    work = (HOME / f"work-{os.getpid()}").resolve()
    results = []
    try:
        for size in asked.topics or asked.rows:
            folder = work / str(size)
            results.append(rounds.topics(folder, size) if asked.topics else rounds.rows(folder, size, asked.rounds))
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return {
        "kind": "topics" if asked.topics else "rows",
        "results": results,
        "machine": {"cores": os.cpu_count(), "system": platform.system(), "python": platform.python_version()},
    }


if __name__ == "__main__":
    sys.exit(main())
