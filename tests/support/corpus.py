"""The corpus of what monitoring tools send: tests/data/payloads, which its README describes."""

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.support.payloads import DATA

FILES = sorted((DATA / "payloads").glob("*.yaml"))


@dataclass(frozen=True)
class SentRequest:
    """One request of a tool, without an envelope of SNS."""

    name: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True)
class ToolPayloads:
    """One file."""

    name: str
    about: Mapping[str, Any]

    @property
    def expected(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.about["expected"]
        return found

    @property
    def requests(self) -> Iterator[SentRequest]:
        """In order."""
        content_type = {"Content-Type": self.about.get("content_type", "application/json")}
        for request in self.about["requests"]:
            headers = content_type | self.about.get("headers", {}) | request.get("headers", {})
            yield SentRequest(request["name"], self._body(request), headers)

    def _body(self, request: Mapping[str, Any]) -> bytes:
        text = request.get("text")
        return encoded(self._tree(request)) if text is None else text.encode()

    def _tree(self, request: Mapping[str, Any]) -> Any:
        if "like" not in request:
            return request["body"]
        [other] = [it for it in self.about["requests"] if it["name"] == request["like"]]
        return merged(self._tree(other), request["change"]) if "change" in request else self._tree(other)


def encoded(tree: Any) -> bytes:
    return json.dumps(tree, ensure_ascii=False).encode()


@cache
def read(path: Path) -> ToolPayloads:
    return ToolPayloads(path.stem, yaml.safe_load(path.read_text(encoding="utf-8")))


def merged(tree: Any, patch: Any) -> Any:
    """*tree* after a JSON merge patch (RFC 7396)."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    kept = dict(tree) if isinstance(tree, Mapping) else {}
    changed = {key: merged(kept.get(key), value) for key, value in patch.items() if value is not None}
    return {key: value for key, value in kept.items() if key not in patch} | changed
