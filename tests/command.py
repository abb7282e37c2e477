"""The command line, run in the tests' own process: starting another one takes over a second."""

import io
import os
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from subprocess import CompletedProcess
from unittest.mock import patch

from services.__main__ import main


def run_command(*arguments: str, environment: Mapping[str, str]) -> CompletedProcess[str]:
    """Run a command with these variables beside the machine's; how it ended, what it printed."""
    out, err = io.StringIO(), io.StringIO()
    with patch.dict(os.environ, environment), redirect_stdout(out), redirect_stderr(err):
        try:
            code = main(arguments)
        except SystemExit as end:
            code = int(end.code or 0)
    return CompletedProcess(list(arguments), code, out.getvalue(), err.getvalue())
