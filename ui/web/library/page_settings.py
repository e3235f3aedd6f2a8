"""The settings that can be changed on the page: kept in the library's folder, laid over those of the command line."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rag.errors import LibraryError, UsageError
from rag.models.registry import catalogue
from rag.settings import Settings

CHANGEABLE = ("reader.model", "retrieve.k", "retrieve.retriever", "reader.min_probability", "extract.threshold")
log = logging.getLogger("glossator")


class PageSettings:
    """Of one library: what `base` says, but for what was changed on its page."""

    def __init__(self, folder: Path, base: Settings):
        self._file = folder / "page-settings.json"
        self._base = base

    def load(self) -> Settings:
        """The settings; what is wrong with the kept ones is logged, and they are left."""
        try:
            return changed(self._base, json.loads(self._file.read_text("utf-8")))
        except FileNotFoundError:
            return self._base
        except (OSError, ValueError, UsageError) as error:
            log.warning("%s is left out: %s", self._file, error)
            return self._base

    def change(self, values: Mapping[str, Any]) -> Settings:
        """Keep changes, "section.key" -> value, and give the settings. A value of `base` is no change.

        Raises UsageError for what cannot be set, LibraryError where it cannot be kept.
        """
        settings = changed(self._base, values)
        kept = {name: value for name, value in values_of(settings).items() if value != values_of(self._base)[name]}
        part = self._file.with_suffix(".part")
        try:
            part.write_text(json.dumps(kept), "utf-8")
            os.replace(part, self._file)
        except OSError as error:
            raise LibraryError(f"the settings cannot be kept: {error.strerror}. Free some disk space") from error
        return settings


def values_of(settings: Settings) -> dict[str, Any]:
    """The CHANGEABLE ones."""
    found = {}
    for name in CHANGEABLE:
        section, _, key = name.partition(".")
        found[name] = getattr(getattr(settings, section), key)
    return found


def changed(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """The settings with these values, "section.key" -> value. Raises UsageError for what cannot be set so.

    A reader is one of ours, a model of Ollama, or an endpoint: a page does not have files of this machine opened.
    """
    for name, value in values.items():
        if name not in CHANGEABLE:
            raise UsageError(f"{name} cannot be changed on the page. Start the server with --set {name}=...")
        if name == "reader.model" and value != settings.reader.model and not is_offered(str(value)):
            raise UsageError(f"{value}: name a model of the list, or an endpoint: http://host:port/v1#model")
        section, _, key = name.partition(".")
        stage = getattr(settings, section)
        given = {field: getattr(stage, field) for field in type(stage).model_fields} | {key: value}
        try:
            settings = settings.model_copy(update={section: type(stage).model_validate(given)})
        except ValidationError as error:
            raise UsageError(f"{name}: {error.errors()[0]['msg']}") from error
    return settings


def is_offered(model: str) -> bool:
    """Whether a reader may be named on the page.

    >>> is_offered("http://127.0.0.1:8080/v1#qwen3"), is_offered("ollama:qwen3:8b"), is_offered("/etc/passwd")
    (True, True, False)
    """
    known = catalogue().get(model)
    return model.startswith(("http://", "https://", "ollama:")) or (
        known is not None and known.role.startswith("reader")
    )
