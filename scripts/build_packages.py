"""Build what Terraform deploys: the wheel, an architecture's two Lambda packages, and the wheels a Glue job installs.

Everything lands in build/<architecture>/, with packages.json naming each file and its hash, which Terraform reads.
Equal inputs give equal bytes, and what a previous run built from the same inputs is kept, so that a second build costs
next to nothing.
"""

import argparse
import base64
import hashlib
import json
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
GLUE_SCRIPTS = ROOT / "glue_scripts"

# Lambda refuses a package of more than this, unzipped (250 MiB).
LAMBDA_UNZIPPED_LIMIT = 250 * 1024 * 1024
# The wheel platforms that Lambda's python3.11 (Amazon Linux 2, glibc 2.26) can load.
WHEEL_PLATFORMS = {"arm64": "manylinux2014_aarch64", "x86_64": "manylinux2014_x86_64"}
LAMBDA_PACKAGES = ("light", "lake")
# Parts of dependencies that only their own developers need; without them a cold start reads a fifth less.
LEFT_OUT_PARTS = frozenset({"__pycache__", "tests", "include", "bin"})
LEFT_OUT_SUFFIXES = frozenset({".pyc", ".pyi", ".pyx", ".pxd", ".pxi", ".h", ".cc"})
# A zip entry's time is part of its bytes; this is the earliest one the format can hold.
EPOCH = (1980, 1, 1, 0, 0, 0)
# A change of this script changes what it builds.
RECIPE = Path(__file__).read_bytes()


class BuildError(Exception):
    """A package could not be built, or would not deploy."""


def digest(*parts: bytes) -> str:
    """The sha256 of the parts, each told from the next by its length."""
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "big"))
        total.update(part)
    return total.hexdigest()


def sources() -> Iterator[Path]:
    """Every file that the wheel is made of."""
    yield from (ROOT / name for name in ("pyproject.toml", "README.md", "LICENSE"))
    yield from sorted(p for p in (ROOT / "src").rglob("*") if p.is_file() and "__pycache__" not in p.parts)


def run(*command: str | Path) -> None:
    """Run a command; its output is shown only when it fails. Raises BuildError."""
    done = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")


def build_wheel(cache: Path) -> Path:
    """The wheel of the sources as they are."""
    key = digest(RECIPE, *(part for p in sources() for part in (str(p.relative_to(ROOT)).encode(), p.read_bytes())))
    folder = cache / f"wheel-{key[:24]}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            run(sys.executable, "-m", "build", "--wheel", "--outdir", scratch)
            shutil.copytree(scratch, folder)
    return next(folder.glob("*.whl"))


def install(requirements: Path, architecture: str, target: Path) -> None:
    """Unpack the pinned wheels of an architecture into a folder, verified by hash."""
    run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--no-deps", "--require-hashes"),
        *("--only-binary=:all:", "--implementation", "cp", "--python-version", "3.11"),
        *("--platform", WHEEL_PLATFORMS[architecture], "--target", target, "-r", requirements),
    )


def shipped(folder: Path) -> Iterator[Path]:
    """The files of a folder that belong into a package, in a fixed order."""
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if path.is_file() and not LEFT_OUT_PARTS.intersection(inner.parts) and path.suffix not in LEFT_OUT_SUFFIXES:
            yield path


def add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """Add a file whose entry says nothing of this machine or of now."""
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content)


def zip_files(target: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write the named contents as a zip; the same contents always give the same bytes."""
    partial = target.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w") as archive:
        for name, content in files:
            add(archive, name, content)
    partial.replace(target)


def dependencies_zip(name: str, architecture: str, cache: Path) -> Path:
    """A Lambda package's dependencies alone; they change seldom and take most of the time."""
    requirements = REQUIREMENTS / f"lambda-{name}.txt"
    target = cache / f"{name}-{digest(RECIPE, requirements.read_bytes(), architecture.encode())[:24]}.zip"
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            folder = Path(scratch)
            install(requirements, architecture, folder)
            zip_files(target, ((p.relative_to(folder).as_posix(), p.read_bytes()) for p in shipped(folder)))
    return target


def build_lambda(name: str, architecture: str, wheel: Path, cache: Path, out: Path) -> Path:
    """One Lambda package: the dependencies and the wheel's content. Raises BuildError when Lambda would refuse it."""
    target = out / f"{name}.zip"
    partial = target.with_suffix(".partial")
    shutil.copyfile(dependencies_zip(name, architecture, cache), partial)
    with zipfile.ZipFile(partial, "a") as archive, zipfile.ZipFile(wheel) as content:
        for inner in sorted(content.namelist()):
            add(archive, inner, content.read(inner))
        unzipped = sum(entry.file_size for entry in archive.infolist())
    if unzipped > LAMBDA_UNZIPPED_LIMIT:
        partial.unlink()
        raise BuildError(
            f"package {name} for {architecture} is {unzipped / 2**20:.0f} MiB unzipped; Lambda takes 250. "
            f"See requirements/lambda-{name}.txt for what could go."
        )
    partial.replace(target)
    return target


def build_glue_wheels(cache: Path, out: Path) -> Path:
    """The zip of wheels that `--additional-python-modules` installs without an internet; Glue's workers are x86_64."""
    requirements = REQUIREMENTS / "glue.txt"
    # Glue takes a zip of wheels by this ending, with the list and the wheels in a folder of that name.
    cached = cache / f"glue-{digest(RECIPE, requirements.read_bytes())[:24]}.gluewheels.zip"
    if not cached.exists():
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            run(
                *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"),
                *("--only-binary=:all:", "--implementation", "cp", "--python-version", "3.11"),
                *("--platform", WHEEL_PLATFORMS["x86_64"], "--dest", scratch, "-r", requirements),
            )
            wheels = sorted(Path(scratch).glob("*.whl"))
            pins = "".join(line.split()[0] + "\n" for line in requirements.read_text().splitlines() if "==" in line)
            zip_files(
                cached,
                [("wheels/requirements.txt", pins.encode()), *((f"wheels/{w.name}", w.read_bytes()) for w in wheels)],
            )
    target = out / "dependencies.gluewheels.zip"
    shutil.copyfile(cached, target)
    return target


def described(path: Path) -> dict[str, str]:
    """A file as packages.json names it: its name, its sha256 and the same in base64, as Lambda gives it."""
    content = hashlib.sha256(path.read_bytes())
    return {
        "file": path.name,
        "sha256": content.hexdigest(),
        "sha256_base64": base64.b64encode(content.digest()).decode(),
    }


def drop_stale(cache: Path, keep: int) -> None:
    """Forget all but the most recently used builds, so that the cache does not grow for ever."""
    for path in sorted(cache.iterdir(), key=lambda p: p.stat().st_mtime, reverse=True)[keep:]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def build(architecture: str, root: Path) -> Path:
    """Build everything for an architecture under `root`; returns the path of packages.json."""
    cache, out = root / "cache", root / architecture
    cache.mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    wheel = build_wheel(cache)
    for stale in out.glob("*.whl"):
        stale.unlink()
    files = {"wheel": Path(shutil.copy(wheel, out)), "glue_wheels": build_glue_wheels(cache, out)}
    files |= {name: build_lambda(name, architecture, wheel, cache, out) for name in LAMBDA_PACKAGES}
    for script in sorted(GLUE_SCRIPTS.glob("*.py")):
        files[f"glue_{script.stem}"] = Path(shutil.copy(script, out))
    manifest = out / "packages.json"
    manifest.write_text(json.dumps({name: described(path) for name, path in files.items()}, indent=2) + "\n")
    drop_stale(cache, keep=24)
    return manifest


def main() -> int:
    """Read the command line and build."""
    machine = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", choices=sorted(WHEEL_PLATFORMS), default=machine, help="the Lambdas' architecture")
    parser.add_argument("--out", type=Path, default=ROOT / "build", help="the folder to build in")
    options = parser.parse_args()
    try:
        manifest = build(options.arch, options.out)
    except BuildError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{manifest}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
