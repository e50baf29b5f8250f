"""Put on the path of a Python process, writes every address that it speaks to into a file.

``SOCKETS_SEEN`` names the file. Children of the process have the same path and do the same.
"""

import os
import sys

_EVENTS = {
    "socket.bind": 1,
    "socket.connect": 1,
    "socket.sendto": 1,
    "socket.sendmsg": 1,
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
    "socket.gethostbyaddr": 0,
    "urllib.Request": 0,
}
"""Which argument of each audited event is the address."""


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event in _EVENTS:
        line = f"{event} {arguments[_EVENTS[event]]!r}\n"
        descriptor = os.open(os.environ["SOCKETS_SEEN"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, line.encode())
        os.close(descriptor)


if os.environ.get("SOCKETS_SEEN"):
    sys.addaudithook(_watch)
