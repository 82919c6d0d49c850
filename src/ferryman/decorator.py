"""The types of `@queue.task(...)`: from a function to its Handler, with and without a Context.

Checkers pick the first overload that fits. A Context first: producers give the rest. Anything else: they give
all of it. The overload on top is for functions whose first parameter takes anything (`object`, `Any`), which
would take a Context too and would otherwise lose that parameter. Where `Any` is involved (`Context[Any]`, an
unannotated first parameter) mypy finds several overloads possible and checks nothing, so name the deps' type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, final, overload

from ferryman.context import Context
from ferryman.handler import Handler

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
C = TypeVar("C", bound=Context[Any])


@final
class Anything:
    """No parameter is annotated with this: only one that takes anything takes it."""


class TakesAnything(Protocol[Q, R_co]):
    """A function whose first parameter takes anything; `Q` is all of its parameters."""

    @overload
    def __call__(self, first: Anything, /, *args: Any, **kwargs: Any) -> R_co: ...
    @overload
    def __call__(self, *args: Q.args, **kwargs: Q.kwargs) -> R_co: ...


class TaskDecorator(Protocol):
    """What `@queue.task(...)` with options is."""

    @overload
    def __call__(self, function: TakesAnything[Q, R], /) -> Handler[Q, Q, R]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[C, P], R], /) -> Handler[P, Concatenate[C, P], R]: ...
    @overload
    def __call__(self, function: Callable[Q, R], /) -> Handler[Q, Q, R]: ...
