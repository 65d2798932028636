"""The headless browser of the tests: Chromium or Chrome, wherever the machine keeps it.

``python -m tests.browser`` prints its path, or says what to do and ends with status 1.
"""

import os
import shutil
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")

ADVICE = (
    "there is no Chromium to test the HTML report in. Run `make browser` as root on Debian or "
    "Ubuntu, install Chromium or Chrome another way, or name its program in the environment "
    "variable CHROMIUM."
)


def find() -> str:
    """Path of the browser; `FileNotFoundError` with advice if there is none: no test is skipped."""
    named = os.environ.get("CHROMIUM")
    found = [named] if named else [shutil.which(name) for name in NAMES]
    for path in [*found, *([] if named else [str(MAC)])]:
        if path and Path(path).is_file():
            return path
    raise FileNotFoundError(ADVICE)


if __name__ == "__main__":
    try:
        print(find())
    except FileNotFoundError as error:
        sys.exit(str(error))
