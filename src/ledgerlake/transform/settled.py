"""Which of RAW's rows count, as earlier runs decided it: what a table is rebuilt from (ADR 0010)."""

from typing import Final

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from ledgerlake.transform.occurrences import MESSAGE_ID, PLACE, not_first

OCCURRENCE: Final = (MESSAGE_ID, "publish_time", "ingestion_ts")
"""What names a message's arrival in RAW, in STANDARDIZED and in parse_errors."""
BATCH: Final = "batch_id"
ORIGIN: Final = "$origin"
LOST: Final = "lost"
"""The origin of rows whose message_id stands nowhere."""


def settled(raw: DataFrame, standing: DataFrame, everywhere: DataFrame, batch_id: str) -> DataFrame:
    """The places of the rows that count; RAW's others are duplicates.

    `raw`: its columns with _file and _pos. `standing`: message_id, publish_time, ingestion_ts, batch_id and $origin of
    what stands, one row each. `everywhere`: the message_ids that stand, also outside the rows looked at. An id that
    stands nowhere was lost: its first row counts, as `batch_id`'s. Columns out: _file, _pos, message_id, publish_time,
    ingestion_ts, batch_id, $origin. Grain: one row for each that counts.
    """
    found = raw.select(*OCCURRENCE, *PLACE).join(standing, list(OCCURRENCE))
    several = found.groupBy(*OCCURRENCE).count().where("count > 1").select(*OCCURRENCE)
    twins = not_first(raw.join(several, list(OCCURRENCE), "left_semi"), OCCURRENCE).select(*PLACE)
    known = found.join(twins, list(PLACE), "left_anti")
    lost = raw.join(everywhere.select(MESSAGE_ID).distinct(), MESSAGE_ID, "left_anti")
    first = lost.select(*OCCURRENCE, *PLACE).join(not_first(lost).select(*PLACE), list(PLACE), "left_anti")
    restored = first.withColumns({BATCH: F.lit(batch_id), ORIGIN: F.lit(LOST)})
    return known.unionByName(restored)
