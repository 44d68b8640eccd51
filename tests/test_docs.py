"""The documents speak of what is there."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import click
import pytest

from marketgpt_core.cli import root as command_root

FENCE = re.compile(r"^```[^\n]*\n.*?^```", flags=re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(?:^|[`$\s])(?:uv run )?marketgpt ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)?)")


def documents(root: Path) -> list[Path]:
    kept = [*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("packages/*/*.md")]
    return sorted([*kept, *root.glob("examples/**/README.md")])


def hooks() -> list[str]:
    names = []
    for package in ("data_sources", "tokenizer", "models", "training", "signals", "monitoring"):
        specs = import_module(f"marketgpt_{package}.hookspecs")
        names += [name for name in vars(specs) if name.startswith("marketgpt_")]
    return sorted(names)


def test_there_are_hooks_of_every_package():
    assert len(hooks()) >= 12


@pytest.mark.parametrize("hook", hooks())
def test_every_hook_is_documented(root, hook):
    pages = [*root.glob("docs/plugins/*.md"), root / "ARCHITECTURE.md"]
    assert any(hook in page.read_text(encoding="utf-8") for page in pages if page.is_file())


def test_links_lead_somewhere(root):
    broken = []
    for document in documents(root):
        text = FENCE.sub("", document.read_text(encoding="utf-8"))
        for target in LINK.findall(text):
            if re.match(r"[a-z]+:", target) or target.startswith("#"):
                continue
            path, _, heading = target.partition("#")
            found = (document.parent / path).resolve()
            if not found.exists():
                broken.append(f"{document.relative_to(root)}: {target}")
            elif heading and found.suffix == ".md" and heading not in _headings(found):
                broken.append(f"{document.relative_to(root)}: {target} (no such heading)")
    assert broken == []


def _headings(path: Path) -> set[str]:
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.casefold()).replace(" ", "-") for title in titles}


def test_commands_in_code_exist(root):
    context = click.Context(command_root, info_name="marketgpt")
    # Commands a reader installs with an example of ours.
    elsewhere = {"broken"}
    unknown = []
    for document in documents(root):
        text = document.read_text(encoding="utf-8")
        blocks = [block for block in FENCE.findall(text) if not block.startswith("```python")]
        code = [*blocks, *re.findall(r"`[^`\n]+`", FENCE.sub("", text))]
        for found in (match for part in code for match in COMMAND.findall(part)):
            name, _, sub = found.partition(" ")
            command = command_root.get_command(context, name)
            if command is None and name not in elsewhere:
                unknown.append(f"{document.relative_to(root)}: marketgpt {name}")
            elif isinstance(command, click.Group) and sub and sub not in command.commands:
                unknown.append(f"{document.relative_to(root)}: marketgpt {found}")
    assert unknown == []


def test_the_demos_options_in_the_readme_exist(root):
    text = (root / "README.md").read_text(encoding="utf-8")
    context = click.Context(command_root, info_name="marketgpt")
    for name, rest in re.findall(r"marketgpt ([a-z][a-z-]*)([^\n`]*)", "\n".join(FENCE.findall(text))):
        command = command_root.get_command(context, name)
        words = [word for word in rest.split() if word.startswith("--")]
        # A group's, or those of a command that also runs by itself.
        commands = getattr(command, "commands", {})
        command = commands.get(rest.split()[0], command) if rest.split() else command
        known = {option for one in command.params for option in one.opts} if command else set()
        assert {word.partition("=")[0] for word in words} <= known, f"marketgpt {name}{rest}"
