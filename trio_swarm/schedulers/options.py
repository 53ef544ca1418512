"""The options of a strategy: read from its factory, checked and converted before it is called.

The options of a dataclass are its fields, documented by a string below the field or by
`field(metadata={"doc": ...})`. The options of any other callable are its parameters, documented by
`Annotated[int, "..."]`.
"""

import ast
import dataclasses
import functools
import inspect
import itertools
import math
import textwrap
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Union

import msgspec

from trio_swarm.errors import ConfigError
from trio_swarm.foreign_text import error_words, quoted


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a strategy: a keyword argument of its factory."""

    name: str
    type: str
    """The type as shown to a person: `int`, `float | None`, `"a" | "b"`."""
    default: object
    """None if the option is required."""
    read_doc: Callable[[], str] = field(repr=False, compare=False)
    """Reads `doc` from the source code. That takes milliseconds, so only commands that show options
    call it."""
    annotation: Any = Any
    """The type as Python represents it."""
    required: bool = False

    @property
    def doc(self) -> str:
        """The meaning of the option in one paragraph; empty if the author did not document it."""
        return self.read_doc()

    def __str__(self) -> str:
        """Return the option in one line: `window: int = 16`."""
        return f"{self.name}: {self.type}" + ("" if self.required else f" = {self.default!r}")


def read_options(factory: Callable[..., object]) -> tuple[Option, ...]:
    """Return the keyword parameters of `factory` as options, in the order of its signature.

    Raises ValueError or TypeError if it has no readable signature or requires positional arguments.
    """
    hints = _hints(factory)
    docs = functools.cache(functools.partial(_docs, factory))

    def doc_of(name: str, annotated: str) -> str:
        return docs().get(name, annotated)

    options = []
    for parameter in inspect.signature(factory).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        required = parameter.default is parameter.empty
        if parameter.kind is parameter.POSITIONAL_ONLY:
            if required:
                raise TypeError(f"parameter {parameter.name!r} cannot be given by name")
            continue
        annotation, doc = _split_annotated(hints.get(parameter.name, Any))
        options.append(
            Option(
                name=parameter.name,
                type=type_text(annotation),
                default=None if required else _default(factory, parameter),
                read_doc=functools.partial(doc_of, parameter.name, doc),
                annotation=annotation,
                required=required,
            )
        )
    return tuple(options)


def convert_options(
    known: tuple[Option, ...], given: Mapping[str, object], *, text_values: bool, where: str
) -> dict[str, object]:
    """Return `given` with every value checked against its option's type and converted to it.

    If `text_values`, values are text as typed on a command line, and "16" can become an int. Raises
    ConfigError, beginning with `where`, for an unknown or missing option or a value of a wrong
    type.
    """
    by_name = {option.name: option for option in known}
    result: dict[str, object] = {}
    for name, value in given.items():
        option = by_name.get(name)
        if option is None:
            raise ConfigError(f"{where} has no option {quoted(name)}; {options_text(known)}")
        try:
            result[name] = _convert(option.annotation, value, text=text_values)
        except (msgspec.ValidationError, ValueError) as error:
            raise ConfigError(
                f"{where}: option {name!r} must be {option.type}, not {quoted(value)} "
                f"({error_words(error)}); {options_text(known)}"
            ) from error
    missing = [option.name for option in known if option.required and option.name not in result]
    if missing:
        raise ConfigError(f"{where} needs option {missing[0]!r}; {options_text(known)}")
    return result


def options_text(options: tuple[Option, ...]) -> str:
    """Return the list of options that ends an error message."""
    if not options:
        return "it has no options"
    return "its options: " + ", ".join(str(option) for option in options)


def type_text(annotation: Any) -> str:
    """Return a type as shown to a person: `int`, `float | None`, `"a" | "b"`."""
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if annotation in (Any, types.NoneType):
        return "any" if annotation is Any else "None"
    if origin is Literal:
        return " | ".join(f'"{each}"' if isinstance(each, str) else str(each) for each in arguments)
    if origin is Union or origin is types.UnionType:
        return " | ".join(type_text(each) for each in arguments)
    if origin is not None:
        inner = ", ".join("..." if each is ... else type_text(each) for each in arguments)
        return f"{origin.__name__}[{inner}]" if inner else str(origin.__name__)
    return str(getattr(annotation, "__name__", annotation))


def _convert(annotation: Any, value: object, *, text: bool) -> object:
    """Return `value` converted to `annotation`.

    Raises msgspec.ValidationError or ValueError if that is not possible.
    """
    if text and isinstance(value, str) and _is_sequence(annotation):
        value = [part.strip() for part in value.split(",") if part.strip()]
    try:
        result: object = msgspec.convert(value, annotation, strict=not text)
    except msgspec.ValidationError:
        raise
    except (TypeError, NameError):
        # msgspec does not know this type, for instance a plugin's own class: the factory checks the
        # value.
        return value
    if isinstance(result, float) and math.isnan(result):
        raise ValueError("not a number")
    return result


def _is_sequence(annotation: Any) -> bool:
    origin = typing.get_origin(annotation) or annotation
    return origin in (list, tuple, set, frozenset)


def _default(factory: Callable[..., object], parameter: inspect.Parameter) -> object:
    """Return the default to show: a dataclass hides the value of a `default_factory`."""
    if dataclasses.is_dataclass(factory):
        for each in dataclasses.fields(factory):
            if each.name == parameter.name and each.default_factory is not dataclasses.MISSING:
                return each.default_factory()
    return parameter.default


def _hints(factory: Callable[..., object]) -> dict[str, Any]:
    target: Any = factory
    while isinstance(target, functools.partial):
        target = target.func
    if inspect.isclass(target) and not dataclasses.is_dataclass(target):
        target = target.__init__
    elif not inspect.isclass(target) and not inspect.isroutine(target):
        target = type(target).__call__
    try:
        return typing.get_type_hints(target, include_extras=True)
    except (NameError, TypeError, AttributeError):
        # Only a type checker can resolve these annotations; each option is then of any type.
        return {}


def _split_annotated(annotation: Any) -> tuple[Any, str]:
    if typing.get_origin(annotation) is not Annotated:
        return annotation, ""
    texts = [each for each in annotation.__metadata__ if isinstance(each, str)]
    return annotation.__origin__, texts[0] if texts else ""


def _docs(factory: Callable[..., object]) -> dict[str, str]:
    """Return the documentation of each field of a dataclass, by the field's name."""
    if not (inspect.isclass(factory) and dataclasses.is_dataclass(factory)):
        return {}
    docs: dict[str, str] = {}
    for cls in reversed(factory.__mro__):
        docs |= _attribute_docstrings(cls)
    for each in dataclasses.fields(factory):
        if "doc" in each.metadata:
            docs[each.name] = str(each.metadata["doc"])
    return {name: " ".join(inspect.cleandoc(doc).split()) for name, doc in docs.items()}


def _attribute_docstrings(cls: type) -> dict[str, str]:
    """Return the string below each annotated attribute in the source code of `cls`."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError, SyntaxError):
        return {}  # no source to read: built in, typed in, or shipped without it
    body = tree.body[0].body if tree.body and isinstance(tree.body[0], ast.ClassDef) else []
    return {
        field.target.id: below.value.value
        for field, below in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }
