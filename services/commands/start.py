"""The command start: the system itself, once all that its server needs is in order."""

import argparse
from typing import Any

from services.commands.arguments import Commands
from services.settings import PROJECT_FOLDER, Settings


def add_start(commands: "Commands[argparse.ArgumentParser]") -> None:
    """The command start."""
    command = commands.add_parser(
        "start",
        help="start the system: pages, HTTP API and scheduler",
        description="Runs until it is asked to end. The address and port stand in "
        ".streamlit/config.toml; STREAMLIT_SERVER_PORT=… in the environment wins over it.",
    )
    command.set_defaults(run=_start)


def _start(_: argparse.Namespace, settings: Settings) -> int:
    # No other command needs Streamlit, which takes half a second.
    from streamlit.web import bootstrap, cli  # noqa: PLC0415

    from services.web.as_set import reach_as_set  # noqa: PLC0415

    serve: Any = cli.main_run.callback

    def look_and_serve(target: str, args: object, **options: object) -> None:
        # The server opens a certificate's files before it reads streamlit_app.py, which looks at
        # all this as well: it would end in a traceback.
        bootstrap.load_config_options(options)
        reach_as_set(settings)
        serve(target, args, **options)

    # Only its parser of arguments knows the variables STREAMLIT_….
    cli.main_run.callback = look_and_serve
    cli.main(["run", str(PROJECT_FOLDER / "streamlit_app.py")], prog_name="streamlit")
    return 0
