"""The command's root: hints, exit codes, ``--debug`` anywhere, broken commands reported."""

from __future__ import annotations

from typing import Any

import pytest

from marketgpt_core.cli import main

COMMANDS = """
    import click
    from marketgpt_core import DataError

    @click.group()
    def farm():
        "Keep animals."

    @farm.command()
    @click.option("--count", type=int, default=1)
    def feed(count):
        "Feed them."
        click.echo(f"fed {count}")

    @farm.command()
    def fail():
        raise DataError("the barn\\nis empty")

    @farm.command()
    def crash():
        raise ZeroDivisionError("ours")

    @farm.command()
    def interrupt():
        raise KeyboardInterrupt

    @farm.command()
    def log():
        import logging
        logging.getLogger("farm").debug("a detail")

    not_a_command = 5
    """


@pytest.fixture
def farm(site: Any) -> Any:
    points = {
        "marketgpt.commands": {
            "farm": "farm_cli:farm",
            "gone": "gone_module:command",
            "number": "farm_cli:not_a_command",
            "leaves": "leaving_cli:command",
        }
    }
    modules = {"farm_cli": COMMANDS, "leaving_cli": "raise SystemExit(5)"}
    site.install("farming", points=points, modules=modules)
    return site


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    out, err = capsys.readouterr()
    return int(stop.value.code or 0), out, err


def test_a_command_runs(farm: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "farm", "feed", "--count", "3") == (0, "fed 3\n", "")


def test_a_users_mistake_is_one_line_and_exit_2(farm: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "farm", "fail") == (2, "", "error: the barn is empty\n")
    assert run(capsys, "farm", "feed", "--count", "x")[::2] == (
        2,
        "error: Invalid value for '--count': 'x' is not a valid integer.\n",
    )


def test_an_unknown_command_gets_a_hint(farm: Any, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "fram")
    assert (code, out) == (2, "")
    assert err.startswith("error: no such command 'fram'; did you mean 'farm'? known: ")
    assert err.count("\n") == 1


def test_an_unknown_option_is_one_line(farm: Any, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "--fram")
    assert code == 2
    assert err == "error: No such option '--fram'.\n"


@pytest.mark.parametrize("broken", ["gone", "number", "leaves"])
def test_a_broken_command_is_reported_when_asked_for(
    farm: Any, capsys: pytest.CaptureFixture[str], broken: str
) -> None:
    reason = {
        "gone": "ModuleNotFoundError: No module named 'gone_module'",
        "number": "TypeError: farm_cli:not_a_command is not a click command",
        "leaves": "SystemExit: 5",
    }[broken]
    code, _, err = run(capsys, broken, "anything", "--at", "all")
    assert code == 2
    assert err == f"error: command '{broken}' of farming 1.0 cannot be loaded: {reason}\n"


def test_help_survives_broken_commands(farm: Any, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--help")
    assert code == 0
    lines = {line.split()[0]: line for line in out.split("Commands:")[1].splitlines() if line.strip()}
    assert "Keep animals." in lines["farm"]
    assert "(broken)" in lines["gone"]
    # Ours stand first, in the order a newcomer walks.
    assert list(lines).index("plugins") < list(lines).index("doctor") < list(lines).index("farm")


def test_no_subcommand_shows_help_with_its_lines(farm: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["farm"]):
        code, out, err = run(capsys, *arguments)
        text = out + err
        assert code in {0, 2}
        assert not text.startswith("error")
        assert text.count("\n") > 5


@pytest.mark.parametrize(
    "arguments", [["--debug", "farm", "fail"], ["farm", "--debug", "fail"], ["farm", "fail", "--debug"]]
)
def test_debug_shows_the_traceback_wherever_it_stands(farm: Any, arguments: list[str]) -> None:
    done = farm.marketgpt(*arguments)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "DataError: the barn" in done.stderr


def test_debug_shows_debug_messages(farm: Any) -> None:
    assert farm.marketgpt("farm", "log", "--debug").stderr == "a detail\n"
    assert farm.marketgpt("farm", "log").stderr == ""


def test_a_defect_of_ours_keeps_its_traceback(farm: Any) -> None:
    done = farm.marketgpt("farm", "crash")
    assert done.returncode == 1
    assert "ZeroDivisionError: ours" in done.stderr


def test_an_interrupt_exits_130(farm: Any, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "farm", "interrupt")
    assert code == 130
    assert err.strip() == "interrupted"


def test_version(farm: Any, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--version")
    assert code == 0
    assert out.startswith("marketgpt, version 0.")
