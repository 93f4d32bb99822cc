"""The requests of the server's fuzzer, and that it finds what is bad."""

import pytest

import fuzz_requests
import fuzz_server
from tests.conftest import serving

CASE = fuzz_requests.Case("test", [fuzz_requests.make_request(b"")], (400,))
JSON = "application/json"


def test_a_case_follows_from_its_seed_and_number():
    cases = [fuzz_requests.draw(1, number) for number in range(12)]
    assert cases == [fuzz_requests.draw(1, number) for number in range(12)]
    assert cases != [fuzz_requests.draw(2, number) for number in range(12)]


@pytest.mark.parametrize(
    ("status", "content_type", "body", "problem"),
    [
        (400, JSON, b'{"error":"is empty"}', None),
        (503, JSON, b'{"error":"later"}', None),
        (500, JSON, b'{"error":"it failed"}', "status 500"),
        (200, JSON, b"{}", "status 200, wanted (400,)"),
        (400, JSON, b'{"error":"the secret"}', "the answer holds a file"),
        (400, JSON, b"wrong", "an error that is not JSON"),
        (400, JSON, b'{"error":1}', "characters"),
        (400, JSON, b'{"error":"\\u001b[2J"}', "characters"),
        (400, JSON, b'{"error":"%s"}' % (b"x" * 501), "501 characters"),
        (400, "text/plain", b'{"error":"is empty"}', "text/plain"),
    ],
)
def test_a_wrong_answer_is_found(status, content_type, body, problem):
    async def answer(scope, receive, send):
        if scope["type"] != "http":
            return
        headers = [(b"content-type", content_type.encode())]
        headers.append((b"content-length", b"%d" % len(body)))
        head = {"type": "http.response.start", "status": status, "headers": headers}
        await send(head)
        await send({"type": "http.response.body", "body": body})

    with serving(answer) as url:
        address = "127.0.0.1", int(url.rpartition(":")[2])
        found = fuzz_server.send(address, CASE, [b"secret"])
    assert found is None if problem is None else problem in found


def test_wrong_usage_ends_with_one_line(capsys):
    assert fuzz_server.main(["--cases", "0"]) == 2
    assert "--cases 0: wanted at least 1" in capsys.readouterr().err
