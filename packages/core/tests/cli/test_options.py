"""What commands share."""

from __future__ import annotations

import json

import click
import pytest
from click.testing import CliRunner

from marketgpt_core.cli import json_option, print_json, progress_console


@click.command()
@json_option
def command(*, as_json: bool) -> None:
    if as_json:
        print_json({"b": 1.5, "a": ["ä", None]})
    else:
        click.echo("table")


def test_json_is_one_value_and_nothing_else() -> None:
    assert json.loads(CliRunner().invoke(command, ["--json"]).stdout) == {"b": 1.5, "a": ["ä", None]}
    assert CliRunner().invoke(command, []).stdout == "table\n"


def test_json_has_no_nan() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        print_json({"x": float("nan")})


def test_progress_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    progress_console().print("step 1")
    out, err = capsys.readouterr()
    assert (out, err.strip()) == ("", "step 1")
