"""Argument parsing whose errors name what is wrong, and the nearest name there is, in a few lines."""

import re
from difflib import get_close_matches
from inspect import signature
from pydoc import locate
from typing import Any, NoReturn

from lightning.pytorch.cli import LightningArgumentParser

import llm2comp.modules
import llm2comp.objectives
from llm2comp.cli.wrapped_errors import user_error_in
from llm2comp.errors import UserError, unknown

# How jsonargparse says that there is no class of the name it was given.
_NO_CLASS = re.compile(r"Expected a dot import path string: (\S+)|class_path '([\w.]+)':\s+(?:module|No module|Import)")
# And that a class has no such option.
_NO_OPTION = re.compile(r"class_path '([\w.]+)':\s+Option '([\w.]+)' is not accepted")
_UNRECOGNIZED = re.compile(r"[Uu]nrecognized arguments: --([\w.]+)")
_KEY = re.compile(r'Parser key "(?:\w+\.)*(\w+)"')


class Parser(LightningArgumentParser):
    """Lightning's parser; what it cannot parse is a UserError, without the list of all options."""

    def add_class_arguments(self, theclass: Any, nested_key: str | None = None, **options: Any) -> Any:
        # A path that --data.train gets is a source: as the path of a sub-configuration its text would take its place.
        options["sub_configs"] = options.get("sub_configs", False) and nested_key != "data"
        return super().add_class_arguments(theclass, nested_key, **options)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        if not self.exit_on_error:  # jsonargparse tries one reading of a value after the other
            super().error(message, ex)
        if named := user_error_in(ex):
            raise named
        if no_class := _NO_CLASS.search(message):
            keys = _KEY.findall(message[: no_class.start()])
            name = (no_class[1] or no_class[2]).rpartition(".")[2]
            raise unknown(
                keys[-1] if keys else "class", name, [*llm2comp.objectives.__all__, *llm2comp.modules.__all__]
            )
        if no_option := _NO_OPTION.findall(message):
            path, name = no_option[-1]
            cls: Any = locate(path)
            raise unknown(f"option of {cls.__name__}", name, list(signature(cls).parameters))
        options = {option.lstrip("-") for option in self._option_string_actions}
        if (unrecognized := _UNRECOGNIZED.search(message)) and get_close_matches(unrecognized[1], options, cutoff=0.5):
            raise unknown("option", unrecognized[1], options)
        raise UserError(f"{message}\n'llm2comp fit --help' lists the options")
