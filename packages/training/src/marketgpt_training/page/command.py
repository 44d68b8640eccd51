"""``marketgpt train page``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("page")
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
@click.option("--all", "every", is_flag=True, help="Every run below the folders given, runs/ by default.")
@click.option("--port", type=click.IntRange(1, 65535), default=8765, show_default=True, help="On 127.0.0.1.")
def train_page(*, runs: tuple[Path, ...], every: bool, port: int) -> None:
    """Show RUNS in the browser while they train: curves, speed, time left, what happened.

    Without RUNS every run below runs/, those begun later as well. The page listens on this machine alone.
    """
    from importlib.util import find_spec

    from marketgpt_core.errors import ConfigError
    from marketgpt_training.page.watch import Runs

    missing = [name for name in ("nicegui", "fastapi", "uvicorn") if find_spec(name) is None]
    if missing:
        raise ConfigError(f"the page needs {', '.join(missing)}: pip install 'marketgpt-training[page]'")
    if every or not runs:
        shown = Runs(parents=runs or (Path("runs"),))
    else:
        lacking = [str(folder) for folder in runs if not folder.is_dir()]
        if lacking:
            raise ConfigError(f"{', '.join(lacking)}: no such folder")
        shown = Runs(named=runs)
    from marketgpt_training.page.serve import serve

    serve(shown, port=port, on_start=lambda: click.echo(f"http://127.0.0.1:{port}/   (Ctrl-C stops)"))
