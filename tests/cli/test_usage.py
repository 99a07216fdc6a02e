"""What a command says of itself, and what it answers to a slip of the pen."""

import click
import pytest

from orchestrator.cli import _COMMANDS, cli
from orchestrator.cli.usage.examples import EXAMPLES
from tests.support.typed import parse


def all_commands(group, words=()):
    """The words of every command below a group, and the command."""
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        yield (*words, name), command
        if isinstance(command, click.Group):
            yield from all_commands(command, (*words, name))


def test_every_command_has_examples_and_no_other():
    assert EXAMPLES.keys() == {"", *(" ".join(words) for words, _ in all_commands(cli))}


@pytest.mark.parametrize("words", EXAMPLES)
def test_an_example_is_a_command_that_can_be_typed(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo.tar").write_text("what `store import` is given")
    for typed, does in EXAMPLES[words]:
        assert typed.startswith(f"dfcil-sweep {words}".rstrip()) and does
        parse(typed)


@pytest.mark.parametrize("words", EXAMPLES)
def test_its_help_ends_with_them(words, tmp_path):
    command = dict(all_commands(cli)).get(tuple(words.split()), cli)
    told = command.get_help(click.Context(command, info_name="x", terminal_width=100))
    assert all(f"\n    {typed}\n        {does}" in told for typed, does in EXAMPLES[words])


def test_a_slip_of_the_pen_is_answered_with_what_was_meant(call):
    for typed, meant in (("launc", "launch"), ("store prun", "prune")):
        status, _, err = call(*typed.split())
        assert status == 2 and f"Did you mean '{meant}'?" in err
        assert f"Error: no such command '{typed.split()[-1]}'" in err
    assert all(name in call("nothing-like-it")[2] for name in _COMMANDS)


def test_the_runs_folder_goes_before_and_after_a_subcommand_of_store(call, tmp_path):
    for arguments in (["--runs", "a", "verify"], ["verify", "--runs", "a"], ["--runs", "b", "verify", "--runs", "a"]):
        assert call("store", *arguments) == (0, "0 stages read, 0 damaged\n", "")
    (tmp_path / "a" / "stages").mkdir(parents=True)
    (tmp_path / "a" / "stages" / "no-stage").mkdir()
    for arguments in (["--runs", "a", "verify"], ["verify", "--runs", "a"], ["--runs", "b", "verify", "--runs", "a"]):
        status, out, _ = call("store", *arguments)
        assert status == 1 and out.startswith("damaged: no-stage")
