"""Checks an edge's answers against its own OpenAPI description."""

from __future__ import annotations

import json
import re
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

URI = "urn:edge"

# Method, path, status and the last part of a problem's type ("" for no problem or no body).
Answer = tuple[str, str, int, str]
OTHER = "*"  # any other method, or any other path


class Contract:
    """document: the edge's /openapi.json. answers: all answers checked so far."""

    def __init__(self, document: Any) -> None:
        self.document = document
        self.answers: set[Answer] = set()
        self._registry: Any = Registry().with_resource(URI, DRAFT202012.create_resource(document))

    def foreseen(self) -> set[Answer]:
        """Every documented answer."""
        found: set[Answer] = set()
        for path, item in self.document["paths"].items():
            if path == "x-other-paths":
                found |= _answers(OTHER, OTHER, item)
                continue
            for method, operation in item.items():
                if method == "x-other-methods":
                    found |= _answers(OTHER, path, operation)
                else:
                    found |= _answers(method.upper(), path, operation["responses"])
        return found

    def check(
        self, method: str, path: str, status: int, headers: dict[str, str], content: bytes
    ) -> None:
        """Raises ``AssertionError`` for an answer that differs from the documentation."""
        if headers.get("content-type", "").startswith("text/html"):
            assert status >= 400  # from the HTTP server: the request did not reach the application
            return
        template, method, place = self._place(method, path)
        documented = self._at(place)
        assert str(status) in documented, f"{method} {path} answered {status}: not documented"
        place = [*place, str(status)]
        answer = documented[str(status)]
        for name, header in answer.get("headers", {}).items():
            text = headers[name.lower()]
            self._validate(
                int(text) if text.isdigit() else text, [*place, "headers", name, "schema"]
            )
            assert header["required"]
        known = {name.lower() for name in answer.get("headers", {})}
        assert headers.keys() & {"retry-after", "allow"} <= known
        self.answers.add((method, template, status, self._body(answer, place, headers, content)))

    def _body(self, answer: Any, place: list[str], headers: dict[str, str], content: bytes) -> str:
        if "content" not in answer:
            assert content == b""
            return ""
        if content == b"":
            return ""  # HEAD is one of the other methods
        kind = headers["content-type"].split(";")[0]
        assert kind in answer["content"]
        body = json.loads(content)
        self._validate(body, [*place, "content", kind, "schema"])
        return str(body["type"]).split(":")[-1] if "problem" in kind else ""

    def _place(self, method: str, path: str) -> tuple[str, str, list[str]]:
        for template, item in self.document["paths"].items():
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]*", template), path.split("?")[0]):
                if method.lower() in item:
                    return template, method, ["paths", template, method.lower(), "responses"]
                return template, OTHER, ["paths", template, "x-other-methods"]
        return OTHER, OTHER, ["paths", "x-other-paths"]

    def _at(self, place: list[str]) -> Any:
        found = self.document
        for name in place:
            found = found[name]
        return found

    def _validate(self, value: Any, place: list[str]) -> None:
        pointer = "/".join(name.replace("~", "~0").replace("/", "~1") for name in place)
        pointer = pointer.replace("{", "%7B").replace("}", "%7D")
        Draft202012Validator({"$ref": f"{URI}#/{pointer}"}, registry=self._registry).validate(value)


def _answers(method: str, path: str, responses: Any) -> set[Answer]:
    found: set[Answer] = set()
    for status, response in responses.items():
        content = response.get("content", {})
        problems = content.get("application/problem+json", {}).get("examples", {})
        found |= {(method, path, int(status), code) for code in problems or [""]}
    return found
