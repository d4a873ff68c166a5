"""Which lifecycles and references does a command work with? Files that a person named, or that lie beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from detectors.reference.build import Reference, from_document
from streams import lifecycle
from streams.errors import LifecycleError, UsageError
from streams.lifecycle import Lifecycle

__all__ = ["Named", "default_reference", "named", "only", "references"]


@dataclass(frozen=True, slots=True)
class Named:
    """A lifecycle and the file it is in."""

    path: Path
    lifecycle: Lifecycle


def named(files: Sequence[Path], receivers: Sequence[str] = ()) -> tuple[Named, ...]:
    """The lifecycles of all files; their channels may name these receivers.

    Raises
    ------
    LifecycleError
        With the mistakes of all files.
    UsageError
        A model is in there twice.
    """
    found: list[Named] = []
    mistakes: list[str] = []
    for path in files:
        try:
            found += [Named(path, one) for one in lifecycle.read(path, receivers=receivers)]
        except LifecycleError as error:
            mistakes += error.mistakes
    if mistakes:
        raise LifecycleError(mistakes)
    by_id: dict[str, Path] = {}
    for one in found:
        if one.lifecycle.model_id in by_id:
            first = by_id[one.lifecycle.model_id]
            raise UsageError(f"{one.path}: model {one.lifecycle.model_id} is in {first} already")
        by_id[one.lifecycle.model_id] = one.path
    return tuple(found)


def only(found: Sequence[Named], model: str | None) -> Named:
    """The one lifecycle that a command works on.

    Raises
    ------
    UsageError
        There are several, and nobody said which; or there is none of that name.
    """
    ids = [one.lifecycle.model_id for one in found]
    if model is None and len(found) > 1:
        raise UsageError(f"{found[0].path}: holds several models: say --model {' or '.join(ids)}")
    for one in found:
        if model is None or one.lifecycle.model_id == model:
            return one
    raise UsageError(f"--model {model}: is not in the file; it holds {', '.join(ids)}")


def default_reference(one: Named) -> Path:
    """Where a model's reference is kept unless somebody says otherwise: beside its lifecycle."""
    return one.path.parent / f"{one.lifecycle.model_id}.reference.json"


def references(found: Sequence[Named], given: Sequence[Path]) -> Mapping[str, Reference]:
    """The references of these models, by model id: those given, else those beside the lifecycles.

    Raises
    ------
    UsageError
        A file that was given is not there, is not a reference, or is of a model that is not among these.
    """
    models = {one.lifecycle.model_id for one in found}
    read: dict[str, Reference] = {}
    for path in given:
        reference = _read(path)
        if reference.model_id not in models:
            raise UsageError(
                f"{path}: is the reference of {reference.model_id}: expected one of {', '.join(sorted(models))}"
            )
        read[reference.model_id] = reference
    for one in found:
        path = default_reference(one)
        if one.lifecycle.model_id not in read and path.is_file():
            reference = _read(path)
            if reference.model_id != one.lifecycle.model_id:
                raise UsageError(f"{path}: is the reference of {reference.model_id}")
            read[reference.model_id] = reference
    return read


def _read(path: Path) -> Reference:
    try:
        return from_document(msgspec.json.decode(path.read_bytes()))
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file; leeway baseline makes one") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:  # not JSON, or not a reference
        raise UsageError(f"{path}: is not a reference: {error}") from None
