"""docs/guarantees.md promises nothing without a test that is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/guarantees.md").read_text()
PROOF = re.compile(r"`([\w./-]+)::(\w+)`")


def bullets(text: str) -> list[str]:
    """The list items of a part of the page, each with the lines that belong to it."""
    return re.findall(r"^- .*(?:\n  .*)*", text, re.MULTILINE)


def promised() -> str:
    return PAGE.split("\n## Promised\n")[1].split("\n## ")[0]


def test_every_promise_names_a_test():
    promises = bullets(promised())
    assert len(promises) > 20
    assert [promise.splitlines()[0] for promise in promises if not PROOF.search(promise.partition("Proof:")[2])] == []


def test_every_test_that_is_named_exists():
    named = PROOF.findall(PAGE)
    assert named
    assert [f"{file}::{test}" for file, test in named if not defined(ROOT / file, test)] == []


def defined(file: Path, test: str) -> bool:
    """Whether a Python file has the test, or a Terraform test file the run."""
    if not file.is_file():
        return False
    pattern = rf'^run "{test}"' if file.suffix == ".hcl" else rf"^(?:def|class) {test}\b|^{test}\b = "
    return re.search(pattern, file.read_text(), re.MULTILINE) is not None
