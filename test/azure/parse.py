"""Gives each line of standard input to the parser of the real az, without a login; writes a JSON array of verdicts.

A line with options is parsed whole. A line without any names a command, which must exist.
"""

import contextlib
import io
import json
import shlex
import sys

from azure.cli.core import get_default_cli

SHELL = {">", "|", "||", "&&", ";"}


def words(line):
    """The words of the first command of the line, without `az`."""
    found = []
    for word in shlex.split(line, comments=True)[1:]:
        if word in SHELL:
            break
        found.append(word)
    return found


def parse(arguments):
    cli = get_default_cli()
    invocation = cli.invocation_cls(
        cli_ctx=cli, parser_cls=cli.parser_cls, commands_loader_cls=cli.commands_loader_cls, help_cls=cli.help_cls
    )
    cli.invocation = invocation
    table = invocation.commands_loader.load_command_table(arguments[:1])
    command = " ".join(arguments[: next((i for i, word in enumerate(arguments) if word.startswith("-")), len(arguments))])
    if command not in table:
        return f"there is no command {command}"
    if command == " ".join(arguments):
        return None
    invocation.data["command_string"] = command
    invocation.commands_loader.load_arguments(command)
    invocation.parser.cli_ctx = cli
    invocation.parser.load_command_table(invocation.commands_loader)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            invocation.parser.parse_args(arguments)
    except SystemExit:
        return said.getvalue().strip() or "refused"
    return None


json.dump([parse(words(line)) for line in sys.stdin.read().splitlines()], sys.stdout)
