"""AWS for tests: moto over HTTP, with two promises that moto leaves out, and a wire that can break.

Glue's UpdateTable is a compare-and-set on the table's version, and DynamoDB makes one conditional write of an item at a
time. Without them every concurrent commit would win, and no test of concurrency would prove anything.
"""

import io
import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.glue.models import glue_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Fault = Callable[[str], None]
"""What happens to a catalogue commit on its way, given the table's name; it may raise ConnectionError."""


class Aws:
    """One account's AWS on a port of 127.0.0.1. It dispatches by X-Amz-Target; S3's requests carry none."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._moto: Application = DomainDispatcherApplication(create_backend_app)
        self._catalogue, self._state = threading.Lock(), threading.Lock()
        self._before: list[Fault] = []
        self._after: list[Fault] = []
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=MotoRequestHandler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.port}"

    def stop(self) -> None:
        self._server.shutdown()

    @contextmanager
    def commits(self, *, before: Fault | None = None, after: Fault | None = None) -> Iterator[None]:
        """Have something happen to each catalogue commit: before it is applied, or before its answer is sent."""
        faults = [(kept, fault) for kept, fault in ((self._before, before), (self._after, after)) if fault]
        for kept, fault in faults:
            kept.append(fault)
        try:
            yield
        finally:
            for kept, fault in faults:
                kept.remove(fault)

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        if target == "AWSGlue.UpdateTable":
            return self._commit(environ, start)
        if target.startswith("DynamoDB_"):
            with self._state:
                return list(self._moto(environ, start))
        return self._moto(environ, start)

    def _commit(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        environ["wsgi.input"] = io.BytesIO(body)
        request = json.loads(body)
        name = request["TableInput"]["Name"]
        _strike(self._before, name, environ)
        with self._catalogue:
            table = glue_backends[DEFAULT_ACCOUNT_ID][self._region].get_table(request["DatabaseName"], name)
            if request.get("VersionId") not in (None, table.as_dict()["VersionId"]):
                return _moved(start)
            answer = list(self._moto(environ, start))
        _strike(self._after, name, environ)
        return answer


def _strike(faults: list[Fault], name: str, environ: dict[str, Any]) -> None:
    try:
        for fault in [*faults]:
            fault(name)
    except ConnectionError:
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)  # else the client waits for an answer until its timeout
        raise


def _moved(start: Callable[..., Any]) -> Iterable[bytes]:
    told = {"__type": "ConcurrentModificationException", "Message": "the table has another version by now"}
    start("400 Bad Request", [("Content-Type", "application/x-amz-json-1.1")])
    return [json.dumps(told).encode()]
