# SPDX-License-Identifier: Apache-2.0
"""What all commands have in common: help with examples first and options in groups, and defaults of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from llava_cli.cli.grouping import expand_groups
from llava_cli.cli.options import CONFIGURABLE_GROUPS, NOT_CONFIGURABLE
from llava_cli.config import config_path, read_config, variable

HELP = {"-h", "--help"}


class Command(TyperCommand):
    """A command. Every shared option can be set by the configuration file and by a variable."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        for key, option in configurable(self).items():
            option.envvar = variable(key)
            option.show_envvar = False

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        own = configurable(self)
        if own and not ctx.resilient_parsing and not HELP & set(args):
            values = read_config(all_configurable(ctx.find_root().command))
            ctx.default_map = {option.name: values[key] for key, option in own.items() if key in values}
        try:
            return list(super().parse_args(ctx, args))
        except typer.BadParameter as error:
            where = _origin(ctx, error.param)
            if where:
                error.message += f" (set by {where})"
            raise

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return ["[OPTIONS]", *(str(param.metavar) for param in self.params if param.param_type_name == "argument")]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        format_help(self, ctx, formatter)


class Group(TyperGroup):
    """A command that has commands of its own."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        format_help(self, ctx, formatter)
        self.format_commands(ctx, formatter)


class App(typer.Typer):
    """A Typer app whose commands are these, and may take options in groups."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(
            cls=Group, rich_markup_mode=None, context_settings={"help_option_names": sorted(HELP)}, **settings
        )

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Any], Any]:
        register = super().command(name, **({"cls": Command} | settings))
        return lambda function: register(expand_groups(function))


def configurable(command: Any) -> dict[str, Any]:
    """The options of a command that the user's configuration may set, by key: the long name without its dashes."""
    return {
        long_name(option).removeprefix("--"): option
        for option in command.params
        if getattr(option, "rich_help_panel", None) in CONFIGURABLE_GROUPS and long_name(option) not in NOT_CONFIGURABLE
    }


def all_configurable(root: Any) -> dict[str, Any]:
    """The same of all commands together."""
    found: dict[str, Any] = {}
    for _, command in walk(root):
        found = configurable(command) | found
    return found


def walk(command: Any, name: str = "llava") -> Iterator[tuple[str, Any]]:
    """A command and all below it, each with its full name."""
    yield name, command
    for child, below in getattr(command, "commands", {}).items():
        if not below.hidden:
            yield from walk(below, f"{name} {child}")


def long_name(option: Any) -> str:
    """An option as it is spelt out: `--frames`."""
    return str(max(option.opts, key=len))


def examples(command: Any) -> list[str]:
    """The command lines of a command's epilog: its indented lines."""
    return [line.strip() for line in (command.epilog or "").splitlines() if line.startswith("  ")]


def groups(command: Any, ctx: Any) -> list[tuple[str, list[tuple[str, str]]]]:
    """The arguments and options of a command in named groups, each as (how it is written, what it does)."""
    records = []
    for param in command.get_params(ctx):
        record = param.get_help_record(ctx)
        if record is not None:
            if param.param_type_name == "argument":
                records.append(("Arguments", (param.metavar, param.help)))
            else:
                records.append((getattr(param, "rich_help_panel", None) or "Options", record))
    order = list(dict.fromkeys(["Arguments", "Options", *(name for name, _ in records)]))
    by_group = sorted(records, key=lambda pair: order.index(pair[0]))
    return [(name, [record for _, record in rows]) for name, rows in groupby(by_group, key=lambda pair: pair[0])]


def format_help(command: Any, ctx: Any, formatter: Any) -> None:
    """Usage, what it does, examples, and then everything in groups."""
    command.format_usage(ctx, formatter)
    command.format_help_text(ctx, formatter)
    lines = examples(command)
    if lines:
        with formatter.section("Examples"):
            for line in lines:
                formatter.write(f"  {line}\n")
    for name, rows in groups(command, ctx):
        with formatter.section(name):
            formatter.write_dl(rows)


def _origin(ctx: Any, param: Any) -> str | None:
    """Where a bad value came from, if not from the command line."""
    if param is None:
        return None
    match getattr(ctx.get_parameter_source(param.name), "name", None):
        case "ENVIRONMENT":
            return str(param.envvar)
        case "DEFAULT_MAP":
            return f"{long_name(param).removeprefix('--')} in {config_path()}"
    return None
