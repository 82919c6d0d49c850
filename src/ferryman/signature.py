"""Signature: what a handler's function takes, read once.

Reading happens in two steps. At decoration only the shape is looked at (names, kinds, defaults, whether a
Context comes first), because annotations may still name things defined further down the module. The types
are resolved at first use: the first enqueue in a producer, the manifest in a worker.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from types import SimpleNamespace
from typing import Any, Final, get_origin, get_type_hints

from ferryman.context import Context
from ferryman.errors import FerrymanError, InvalidTask

_REFUSED_KINDS: Final[Mapping[object, str]] = {
    inspect.Parameter.POSITIONAL_ONLY: "is positional-only; arguments travel by name, so remove the '/'",
    inspect.Parameter.VAR_POSITIONAL: "takes any number of arguments; name them, or take one list",
    inspect.Parameter.VAR_KEYWORD: "takes any names; name the parameters, or take one dict",
}


class InvalidHandler(FerrymanError):
    """A function that can't be a handler, or an option that does not fit it. Raised where it is decorated, or
    at first use when a type can't be resolved."""

    def __init__(self, task: str, message: str) -> None:
        super().__init__(f"task {task!r}: {message}")
        self.task = task
        self.message = message


class Signature:
    """The parameters of one handler, without its Context: what producers give.

    Raises InvalidHandler when the function's shape can't be called with a JSON object.
    """

    def __init__(self, task: str, function: Callable[..., object]) -> None:
        self.task = task
        self._function = inspect.unwrap(function)
        shape = _shape(function)
        parameters = list(shape.parameters.values())
        self._returns = shape.return_annotation
        self.wants_context = bool(parameters) and self._is_context(parameters[0].annotation)
        self.parameters: dict[str, inspect.Parameter] = {
            parameter.name: parameter for parameter in parameters[self.wants_context :]
        }
        for parameter in self.parameters.values():
            if reason := _REFUSED_KINDS.get(parameter.kind):
                raise InvalidHandler(task, f"parameter {parameter.name!r} {reason}")
            if self._is_context(parameter.annotation):
                raise InvalidHandler(task, f"parameter {parameter.name!r}: a Context comes first or not at all")
        self._positional = tuple(
            name for name, parameter in self.parameters.items() if parameter.kind is not parameter.KEYWORD_ONLY
        )

    def bind(self, args: tuple[object, ...], kwargs: dict[str, object]) -> Mapping[str, object]:
        """Give every argument of a call its parameter's name.

        Only what a JSON object can't express is refused here, with InvalidTask; that a name is unknown, or a
        parameter without a default is missing, is found when the object is decoded.
        """
        if not args:
            return kwargs
        if len(args) == 1 and not kwargs and self._positional:
            return {self._positional[0]: args[0]}
        if len(args) > len(self._positional):
            raise InvalidTask(
                "args",
                f"task {self.task!r} takes {len(self._positional)} positional arguments, {len(args)} given",
            )
        bound = dict(zip(self._positional, args, strict=False))
        if kwargs:
            for name in kwargs:
                if name in bound:
                    raise InvalidTask(name, f"task {self.task!r} got it twice, by position and by name")
            bound.update(kwargs)
        return bound

    @cached_property
    def types(self) -> dict[str, Any]:
        """The type of each parameter; Any without an annotation.

        Raises InvalidHandler naming the parameter whose annotation can't be resolved.
        """
        return {name: self._resolve(name, parameter.annotation) for name, parameter in self.parameters.items()}

    @cached_property
    def returns(self) -> Any:
        """The type of the result; Any without an annotation. Raises InvalidHandler when it can't be resolved."""
        return self._resolve("return", self._returns)

    def _resolve(self, name: str, annotation: object) -> Any:
        if annotation is inspect.Parameter.empty:
            return Any
        holder = SimpleNamespace(__annotations__={name: annotation})
        try:
            return get_type_hints(holder, self._function.__globals__, include_extras=True)[name]
        except Exception as error:
            raise InvalidHandler(
                self.task,
                f"the annotation {annotation!r} of parameter {name!r} can't be resolved ({error}); "
                "define or import its names at module level, not under TYPE_CHECKING",
            ) from error

    def _is_context(self, annotation: object) -> bool:
        """Tell by the name before the bracket: what is inside may not exist (yet) in a producer."""
        if isinstance(annotation, str):
            head = annotation.strip("'\" ").split("[", 1)[0]
            first, *rest = head.split(".")
            annotation = self._function.__globals__.get(first)
            for part in rest:
                annotation = getattr(annotation, part, None)
        return (get_origin(annotation) or annotation) is Context


def _shape(function: Callable[..., object]) -> inspect.Signature:
    if sys.version_info >= (3, 14):
        import annotationlib

        return inspect.signature(function, annotation_format=annotationlib.Format.FORWARDREF)
    return inspect.signature(function)
