"""Lambda packages unpacked once, and run as AWS runs them: on a Python that has boto3 and else only the package.

The emulator unpacks a package for every execution environment (190 MB for one with pyarrow) and lets functions see its
own packages, so that a missing dependency would only fail on AWS.
"""

import base64
import importlib.util
import io
import os
import sys
import sysconfig
import threading
import zipfile
from pathlib import Path
from typing import Any

from ministack.core import lambda_runtime

from ledgerlake.local.instance import Home

# What the Python runtimes of Lambda bring: boto3 and what it needs.
RUNTIME_MODULES = ("boto3", "botocore", "s3transfer", "jmespath", "urllib3", "dateutil", "six")

_worker_class_for = lambda_runtime._worker_class_for
_detect_runtime_binary = lambda_runtime._detect_runtime_binary


def install(home: Home) -> None:
    """Make Python functions run from shared, unpacked code."""
    packages = Packages(home.aws / "lambda")

    class SharedCodeWorker(lambda_runtime.Worker):  # type: ignore[misc]  # it has no types
        def __init__(self, name: str, config: dict[str, Any], code: bytes) -> None:
            super().__init__(name, packages.on_path(config, code), EMPTY_PACKAGE)

    def worker_class_for(config: dict[str, Any]) -> Any:
        python = str(config.get("Runtime", "")).startswith("python")
        return SharedCodeWorker if python and not config.get("Layers") else _worker_class_for(config)

    def detect_runtime_binary(runtime: str) -> Any:
        binary, script = _detect_runtime_binary(runtime)
        return (_bare_python(), script) if runtime.startswith("python") else (binary, script)

    lambda_runtime._worker_class_for = worker_class_for
    lambda_runtime._detect_runtime_binary = detect_runtime_binary


class Packages:
    """Unpacked packages by the digest of their zip."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._lock = threading.Lock()

    def on_path(self, config: dict[str, Any], code: bytes) -> dict[str, Any]:
        """The function's configuration with its unpacked package and the runtime's modules as its import path."""
        package = self._unpacked(config["CodeSha256"], code)
        variables = {
            **(config.get("Environment") or {}).get("Variables", {}),
            "PYTHONPATH": f"{package}:{self._runtime()}",
            "PYTHONNOUSERSITE": "1",
        }
        return {**config, "Environment": {"Variables": variables}}

    def _unpacked(self, digest: str, code: bytes) -> Path:
        package = self._home / base64.b64decode(digest).hex()[:16]
        with self._lock:
            if not package.exists():
                partial = package.with_suffix(".partial")
                with zipfile.ZipFile(io.BytesIO(code)) as archive:
                    archive.extractall(partial)
                partial.rename(package)
        return package

    def _runtime(self) -> Path:
        runtime = self._home / "runtime"
        with self._lock:
            if not runtime.exists():
                partial = runtime.with_suffix(".partial")
                partial.mkdir(parents=True)
                for module in RUNTIME_MODULES:
                    found = importlib.util.find_spec(module)
                    if found and found.origin:
                        origin = Path(found.origin)
                        source = origin.parent if origin.name == "__init__.py" else origin
                        (partial / source.name).symlink_to(source)
                partial.rename(runtime)
        return runtime


def _bare_python() -> str:
    """The interpreter under our virtual environment, which does not see the environment's packages."""
    in_base = Path(sys.base_prefix, "bin", f"python{sysconfig.get_python_version()}")
    return str(in_base) if os.access(in_base, os.X_OK) else sys.executable


def _empty_package() -> bytes:
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w"):
        pass
    return package.getvalue()


EMPTY_PACKAGE = _empty_package()
