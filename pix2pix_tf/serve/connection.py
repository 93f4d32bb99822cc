"""One HTTP connection of the server: it must ask in time, and errors are JSON."""

import json

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10  # within which the head of a request must have arrived


class Connection(H11Protocol):
    """uvicorn's connection, closed if no request of it is being answered for a while.

    uvicorn alone would wait for ever for a first request, for the rest of a head, and
    for the rest of a body that was refused. Some dozens of such connections would keep
    all others out.
    """

    _timer = None

    def connection_made(self, transport):
        super().connection_made(transport)
        self._watch()

    def data_received(self, data):
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc):
        if self._timer:
            self._timer.cancel()
        super().connection_lost(exc)

    def _watch(self):
        """Starts the timer, or stops it while a request is read or answered."""
        is_idle = self.conn.our_state in (h11.IDLE, h11.DONE)
        if is_idle and self._timer is None:
            self._timer = self.loop.call_later(HEAD_SECONDS, self._close_if_idle)
        elif not is_idle and self._timer:
            self._timer.cancel()
            self._timer = None

    def _close_if_idle(self):
        self._timer = None
        if self.conn.our_state in (h11.IDLE, h11.DONE):
            self.transport.close()

    def send_400_response(self, msg):
        """Answers what is not HTTP, unless an answer has begun; uvicorn sends text."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = json.dumps({"error": msg}).encode()
            headers = {
                "content-type": "application/json",
                "content-length": str(len(body)),
                "connection": "close",
            }
            for event in (
                h11.Response(status_code=400, headers=list(headers.items())),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event))
        self.transport.close()
