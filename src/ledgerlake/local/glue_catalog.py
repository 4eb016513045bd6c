"""The Glue Data Catalog: writes one at a time, and lists in pages of 100.

The emulator compares a table's version and sets it in two steps, and returns all tables of a database at once.
"""

import json
import threading
from typing import Any

from ministack.core.responses import error_response_json, json_response
from ministack.services import glue

WRITES = (
    "_create_table",
    "_update_table",
    "_delete_table",
    "_batch_delete_table",
    "_create_database",
    "_delete_database",
)


PAGE = 100

_get_tables = glue._get_tables


def install() -> None:
    """Put one lock around every write, so that of two commits on the same version only one wins; page the lists."""
    lock = threading.Lock()
    for name in WRITES:
        setattr(glue, name, _alone(getattr(glue, name), lock))
    glue._get_tables = get_tables


def get_tables(request: dict[str, Any]) -> Any:
    """GetTables, by name, at most 100 a page."""
    if request.get("DatabaseName") not in glue._databases:
        return error_response_json("EntityNotFoundException", f"Database {request.get('DatabaseName')} not found.", 400)
    status, _, body = _get_tables(request)
    if status != 200:
        return status, {}, body
    tables = sorted(json.loads(body)["TableList"], key=lambda table: str(table["Name"]))
    after = request.get("NextToken") or ""
    left = [table for table in tables if table["Name"] > after]
    page = left[: min(PAGE, request.get("MaxResults") or PAGE)]
    more = {"NextToken": page[-1]["Name"]} if len(left) > len(page) else {}
    return json_response({"TableList": page, **more})


def _alone(operation: Any, lock: threading.Lock) -> Any:
    def alone(request: dict[str, Any]) -> Any:
        with lock:
            return operation(request)

    return alone
