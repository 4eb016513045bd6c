"""The first program of a local Glue run: runs the job's script, keeps its traceback, and ends with the launcher."""

import os
import runpy
import signal
import sys
import threading
import traceback
from pathlib import Path
from types import TracebackType


def main() -> None:
    """Run `<error file> <script> <arguments>`; the error file gets what becomes the run's ErrorMessage."""
    error_file, script, *arguments = sys.argv[1:]
    threading.Thread(target=_end_with_the_launcher, daemon=True).start()
    sys.argv = [script, *arguments]
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as leaving:
        if leaving.code not in (None, 0):
            Path(error_file).write_text(f"SystemExit: {leaving.code}")
        raise
    except BaseException as failure:
        told = "".join(traceback.format_exception(type(failure), failure, _from(script, failure.__traceback__)))
        Path(error_file).write_text(told)
        sys.stderr.write(told)
        sys.exit(1)


def _from(script: str, frames: TracebackType | None) -> TracebackType | None:
    """The traceback as Glue shows it: without the frames that started the script."""
    frame = frames
    while frame is not None and frame.tb_frame.f_code.co_filename != script:
        frame = frame.tb_next
    return frame or frames


def _end_with_the_launcher() -> None:
    """Our standard input is a pipe that nobody writes to: its end means that the launcher is gone, however it died."""
    while os.read(0, 1):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main()
