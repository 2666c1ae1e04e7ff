"""Errors of ours that a library wrapped in its own."""

from llm2comp.errors import UserError


def user_error_in(error: BaseException | None) -> UserError | None:
    """The UserError that `error` is or was raised from, as jsonargparse does with what constructors raise."""
    while error is not None and not isinstance(error, UserError):
        error = error.__cause__ or error.__context__
    return error
