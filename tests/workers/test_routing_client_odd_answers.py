"""Answers that break HTTP or the contract: each is transient and does not affect other calls."""

from __future__ import annotations

import gc
import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.support.servers import await_true
from workers.errors import Transient
from workers.routing_client import ANSWER_MAX_BYTES, RoutingClient

Answer = Callable[[socket.socket], None]
# For an answer that urllib3 refuses after its head was parsed, it closes the connection and leaves
# the response, and with it the socket, to the garbage collector.
URLLIB3_LEAVES_A_SOCKET = "ignore:unclosed <socket.socket .closed.:ResourceWarning"
LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b"


class OddService:
    """Gives every request, on whichever connection, the next of its answers.

    requests: received. answered: whose answer was sent, or refused by the client.
    """

    def __init__(self, answers: list[bytes | Answer]) -> None:
        self._answers = answers
        self.requests = self.answered = 0
        self.connections: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                self.connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):
            while _request(connection):
                answer = self._answers[self.requests]
                self.requests += 1
                try:
                    answer(connection) if callable(answer) else connection.sendall(answer)
                finally:  # also if the client has closed the connection
                    self.answered += 1

    def close(self) -> None:
        for one in (self._server, *self.connections):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def _request(connection: socket.socket) -> bool:
    """Read one request; its body is the two bytes {}."""
    got = b""
    while not got.endswith(b"\r\n\r\n{}"):
        part = connection.recv(65536)
        if not part:
            return False
        got += part
    return True


@contextmanager
def service(*answers: bytes | Answer) -> Iterator[OddService]:
    odd = OddService(list(answers))
    try:
        yield odd
    finally:
        odd.close()


def failure(client: RoutingClient) -> Transient:
    with pytest.raises(Transient) as caught:
        client.route("k", {})
    return caught.value


def then_close(data: bytes) -> Answer:
    def answer(connection: socket.socket) -> None:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_RDWR)

    return answer


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"routed",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"7",
        b"\xff\xfe",
        b'{"a": 1} x',
        b'{"a\\u0000b": 1}',
        b'{"a": 9223372036854775808}',
        b'{"a": {"b": [18446744073709551615]}}',
    ],
)
def test_a_success_whose_body_cannot_be_stored_is_transient(body: bytes) -> None:
    with service(LENGTH % (len(body), body)) as odd:
        error = failure(RoutingClient(odd.url, 5, 1))
    assert str(error) == "status 200 with a body that is not a JSON object"
    assert not error.pushback


@pytest.mark.parametrize("status", [201, 202, 204, 299])
def test_every_2xx_status_with_a_json_object_is_a_success(status: int) -> None:
    head = b"HTTP/1.1 %d Whatever\r\nContent-Length: 8\r\n\r\n" % status
    with service(head + b'{"a": 1}') as odd:
        client = RoutingClient(odd.url, 5, 1)
        if status == 204:  # by definition without a body
            assert "not a JSON object" in str(failure(client))
        else:
            assert client.route("k", {}) == {"a": 1}


@pytest.mark.parametrize("status", [301, 302, 303, 304, 307, 308])
def test_a_redirect_is_transient_and_not_followed(status: int) -> None:
    head = b"HTTP/1.1 %d Elsewhere\r\nLocation: /v1/routes\r\nContent-Length: 0\r\n\r\n" % status
    with service(head, LENGTH % (8, b'{"a": 1}')) as odd:
        assert str(failure(RoutingClient(odd.url, 5, 1))) == f"status {status}"
        assert odd.requests == 1


@pytest.mark.parametrize("extra", [1, 400, 200_000])
def test_an_answer_that_is_too_long_is_transient_and_the_next_call_succeeds(
    extra: int,
) -> None:
    long = b" " * (ANSWER_MAX_BYTES + extra)
    with service(LENGTH % (len(long), long), LENGTH % (8, b'{"a": 1}')) as odd:
        client = RoutingClient(odd.url, 5, 1)
        assert str(failure(client)) == f"answer longer than {ANSWER_MAX_BYTES} bytes"
        assert client.route("k", {}) == {"a": 1}


def test_the_longest_answer_that_is_allowed_is_read() -> None:
    body = b'{"a": 1}'.ljust(ANSWER_MAX_BYTES)
    with service(LENGTH % (len(body), body)) as odd:
        assert RoutingClient(odd.url, 5, 1).route("k", {}) == {"a": 1}


def test_a_compressed_answer_is_limited_by_its_uncompressed_length() -> None:
    body = gzip.compress(b" " * 50_000_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    with service(head + body) as odd:
        assert "answer longer than" in str(failure(RoutingClient(odd.url, 5, 1)))


@pytest.mark.parametrize(
    "answer",
    [
        b"\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n{}",
    ],
    ids=lambda answer: repr(answer[:60]),
)
@pytest.mark.filterwarnings(URLLIB3_LEAVES_A_SOCKET)
def test_a_reply_that_is_not_http_is_broken_and_the_next_call_succeeds(answer: bytes) -> None:
    with service(then_close(answer), LENGTH % (8, b'{"a": 1}')) as odd:
        client = RoutingClient(odd.url, 5, 1)
        assert str(failure(client)).startswith("broken: ")
        await_true(lambda: odd.answered == 1)
        assert client.route("k", {}) == {"a": 1}
    gc.collect()


def test_bytes_after_the_end_of_a_reply_are_never_taken_for_the_next_one() -> None:
    with service(
        LENGTH % (8, b'{"a": 1}') + LENGTH % (8, b'{"b": 2}'), LENGTH % (8, b'{"c": 3}')
    ) as odd:
        client = RoutingClient(odd.url, 5, 1)
        assert client.route("k", {}) == {"a": 1}
        assert client.route("k", {}) == {"c": 3}


def test_a_connection_that_was_closed_between_two_calls_is_replaced() -> None:
    with service(then_close(LENGTH % (8, b'{"a": 1}')), LENGTH % (8, b'{"b": 2}')) as odd:
        client = RoutingClient(odd.url, 5, 1)
        assert client.route("k", {}) == {"a": 1}
        await_true(lambda: odd.answered == 1)
        assert client.route("k", {}) == {"b": 2}


def test_an_answer_sent_byte_by_byte_is_given_up_at_the_timeout() -> None:
    stopped = threading.Event()

    def send_slowly(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
        with suppress(OSError):
            while not stopped.wait(0.05):
                connection.sendall(b" ")
        stopped.set()

    with service(send_slowly) as odd:
        began = time.monotonic()
        error = failure(RoutingClient(odd.url, 0.3, 1))
        took = time.monotonic() - began
        await_true(stopped.is_set, what="the client to close the connection")
    assert str(error) == "timeout: the answer does not end"
    assert error.pushback
    assert took < 20  # at this pace the answer would take 500 s


def test_a_body_that_stalls_is_a_timeout() -> None:
    with service(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{") as odd:
        error = failure(RoutingClient(odd.url, 0.2, 1))
    assert str(error).startswith("timeout: ")
    assert error.pushback
