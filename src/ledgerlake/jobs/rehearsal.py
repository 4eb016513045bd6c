"""What a rehearsal is asked for, and what it says: documents that travel between the command and the job."""

from datetime import datetime, timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from ledgerlake.contracts.review import Reviewed
from ledgerlake.jobs.comparison import ColumnChange, Sample

MAX_DAYS: Final = 3650


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RehearsalRequest(_Document):
    """What a run of the job `rehearse` has to do: try the text of a proposed contract on a topic's last days of RAW.

    `sample` is about how many rows are looked at, None being all of them.
    """

    topic: str
    contract: str
    days: Annotated[int, Field(ge=1, le=MAX_DAYS)]
    sample: Annotated[int, Field(ge=1)] | None

    def since(self, newest: datetime, now: datetime) -> datetime:
        """When the days begin: counted back from RAW's newest record, or from now where that comes from the future."""
        return min(newest, now) - timedelta(days=self.days)


class Ends(_Document):
    """Where the rows end under one contract: with the duplicates they are the rows looked at.

    `curated` are the latest of their keys among these rows, `superseded` the others that pass; `warned` counts the
    rows, of whatever end, that break a warn rule.
    """

    curated: int
    superseded: int
    rejected: int
    parse_errors: int
    warned: int


class Offender(_Document):
    """A row that breaks the contract, with the value that does, cut to 200 characters."""

    message_id: str
    value: str | None = None


class Offence(_Document):
    """One way to break a contract, in rows; a row that does so in several counts under each."""

    kind: str
    column: str | None
    rule: str | None
    records: int
    samples: tuple[Offender, ...]

    def without_values(self) -> Self:
        """The same with no value told: they are personal data."""
        return self.model_copy(update={"samples": tuple(Offender(message_id=s.message_id) for s in self.samples)})


class BrokenRule(_Document):
    """A rule that takes no row away and is broken: warn is only counted, fail would stop the topic's curate."""

    rule: str
    action: Literal["warn", "fail"]
    records: int
    sample: str


class NewColumn(_Document):
    """A column that CURATED would get, and in how many of the rows that pass it has a value; `samples` have `after`."""

    column: str
    type: str
    records: int
    samples: tuple[Sample, ...]


class RehearsalReport(_Document):
    """What the proposed contract would do with the rows, and what the one in force does with the same ones.

    `in_window` rows of RAW were published since `since`, `looked_at` of them were chosen. Newly rejected are those that
    pass the contract in force and not the proposed one, newly accepted the other way round, changed pass both and have
    another value in a column that both have. With nothing in force (`contract_version` 0, `before` None) all rejected
    rows are newly rejected.
    """

    topic: str
    contract_version: int
    days: int
    since: datetime
    in_window: int
    looked_at: int
    duplicates: int
    before: Ends | None
    after: Ends
    newly_rejected: int
    offences: tuple[Offence, ...]
    newly_accepted: int
    answered: tuple[Offence, ...]
    changed: int
    columns: tuple[ColumnChange, ...]
    new_columns: tuple[NewColumn, ...]
    rules: tuple[BrokenRule, ...]
    changes: tuple[Reviewed, ...] = ()

    @property
    def stopped_by(self) -> tuple[str, ...]:
        """The fail rules that would stop the topic."""
        return tuple(rule.rule for rule in self.rules if rule.action == "fail")

    @property
    def percent_rejected(self) -> float:
        """The newly rejected rows among those that are no duplicates, in percent."""
        judged = self.looked_at - self.duplicates
        return 100 * self.newly_rejected / judged if judged else 0.0

    def failures(self, allow_rejected: float = 0.0) -> tuple[str, ...]:
        """Why the contract should not be published; `allow_rejected` percent of the rows may be newly rejected."""
        found = []
        if self.percent_rejected > allow_rejected:
            found.append(f"{self.newly_rejected:,} rows would be newly rejected ({self.percent_rejected:.2f} %)")
        if self.stopped_by:
            found.append(f"fail rules would stop the topic: {', '.join(self.stopped_by)}")
        if refused := [change.id for change in self.changes if change.refused]:
            found.append(f"changes would be refused: {', '.join(refused)}")
        return tuple(found)
