"""The settings of the configuration, by where they stand."""

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr

from versus_py.systems import model


def secret_paths() -> list[tuple[str, ...]]:
    """Of all settings that hold one secret."""
    return [path for path, kind in _settings(model()) if _is_secret(kind)]


def _is_secret(kind: Any) -> bool:
    optional = get_origin(kind) in {Annotated, Union, UnionType}
    return kind is SecretStr or (optional and any(_is_secret(it) for it in get_args(kind)))


def _settings(part: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, field in part.model_fields.items():
        own = (*path, field.alias or name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _settings(field.annotation, own)
        else:
            yield own, field.annotation
