"""Plain parameters read without typer's pydantic adapters, whose import takes longer than a whole pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer._click import Context, Parameter
    from typer.core import TyperOption


class Reader(NamedTuple):
    """Stands in for typer's runtime parameter: reads a word, or each word of a repeated parameter."""

    read: Callable[[str], object]

    def coerce(self, value: Any, param: Parameter, ctx: Context) -> object:  # noqa: ANN401 typer's signature
        """Return what the words mean; a word that can't be read is typer's BadParameter."""
        repeated = param.multiple or param.nargs == -1
        if value is None:
            return () if repeated else None
        try:
            return [self.read(word) for word in value] if repeated else self.read(value)
        except ValueError as error:
            raise typer.BadParameter(str(error), ctx=ctx, param=param) from error  # type: ignore[arg-type]


def lighten(params: list[Parameter]) -> list[Parameter]:
    """Give each parameter of text, whole numbers, or yes and no a reader; leave the others to typer."""
    for param in params:
        read = _reading(param)
        if read is not None:
            # typer's public hook is a method; where a later typer has none, this attribute does nothing
            setattr(param, "get_runtime_param", lambda reader=Reader(read): reader)  # noqa: B010
        if read is str:
            setattr(param, "display_type", lambda ctx: "")  # noqa: ARG005, B010 "JOB", not "JOB <list[str]>"
    return params


def _reading(param: Any) -> Callable[[str], object] | None:  # noqa: ANN401 an option or an argument of typer's
    annotation = param.type_descriptor.annotation
    if annotation in {str, list[str]}:
        return str
    if annotation is bool:
        return bool  # a flag: typer has made a bool of it
    if annotation is int:
        return lambda word: _whole(word, param)
    return None


def _whole(word: str | int, param: TyperOption) -> int:
    try:
        number = int(word)
    except ValueError:
        raise ValueError(f"{word!r} is not a whole number") from None
    if param.min is not None and number < param.min:
        raise ValueError(f"{number} is less than {param.min}")
    if param.max is not None and number > param.max:
        raise ValueError(f"{number} is more than {param.max}")
    return number
