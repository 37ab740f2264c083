"""The control interface of the simulated Routing Service."""

from __future__ import annotations

from typing import Any

import urllib3

from loadtest.harness.wait import RunFailed

TIMEOUT_SECONDS = 5.0


class Simulator:
    def __init__(self, url: str) -> None:
        self._url = url

    def behave(self, **behaviour: Any) -> None:
        """Behave so from now on; what is not named goes back to its default."""
        self._request("PUT", "/behaviour", json=behaviour)

    def stats(self) -> dict[str, int]:
        return dict(self._request("GET", "/stats").json())

    def routed(self) -> dict[str, int]:
        """Idempotency key -> calls that were answered with a route."""
        counts = self._request("GET", "/stats/keys").json()
        return {key: calls for key, calls in counts.items() if calls}

    def reset_stats(self) -> None:
        self._request("DELETE", "/stats")

    def answers(self) -> bool:
        try:
            return bool(self.stats())
        except RunFailed:
            return False

    def _request(self, method: str, path: str, **options: Any) -> urllib3.BaseHTTPResponse:
        """Raises ``RunFailed``."""
        url = f"{self._url}{path}"
        try:
            answer = urllib3.request(method, url, timeout=TIMEOUT_SECONDS, retries=False, **options)
        except urllib3.exceptions.HTTPError as error:
            raise RunFailed(f"the simulator does not answer: {error}") from error
        if answer.status >= 300:
            raise RunFailed(f"the simulator refused {options or path}: {answer.data.decode()}")
        return answer
