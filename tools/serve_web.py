"""Serves an exported decoder's web page on this machine.

  python -m tools.serve_web --dir=EXPORT_DIR

Prints the address; Ctrl-C ends it. The folder comes from `python -m export … --web`.
Answers browsers that reach it by an IP address, as localhost or by the name in --host.
"""

import contextlib
import errno
import io
import ipaddress
import os
import re
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from typing import Any, BinaryIO
from urllib.parse import unquote

from absl import flags

from dfcvae_tf.command_line import run_program
from dfcvae_tf.errors import UserError

MIME_TYPES = {
    "": "application/octet-stream",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".tflite": "application/octet-stream",
    ".wasm": "application/wasm",
}
HEADERS = {
    # Nothing from elsewhere, no inline script; WebAssembly may compile.
    "Content-Security-Policy": "default-src 'self'; "
    "script-src 'self' 'wasm-unsafe-eval'; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    # Together they isolate the page; browsers give threads to WebAssembly only then.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    # A new export under the same names shows at the next reload.
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


ALL_ADDRESSES = ("0.0.0.0", "::")
# [IPv6] or a name or IPv4 address, and perhaps a port.
HOST_HEADER = re.compile(r"(?:\[([^]]*)\]|([^][:]+?)\.?)(?::([0-9]*))?")
END_OF_HEAD = re.compile(rb"\n\r?\n")


class Handler(SimpleHTTPRequestHandler):
    """Answers GET and HEAD for the files of one folder, and for nothing else."""

    server: "Server"
    extensions_map = MIME_TYPES
    # HTTP/0.9 knows no headers: those below must come with every answer.
    default_request_version = "HTTP/1.0"
    # A request has to be there whole within this time, and within this size.
    head_seconds = 10.0
    head_bytes = 64 * 1024
    # A client has to take each 64 KiB of an answer within this time.
    timeout = 30.0

    def handle(self) -> None:
        head = self.receive_head()
        self.connection.settimeout(self.timeout)
        self.rfile.close()
        self.rfile = io.BytesIO(head)
        if len(head) > self.head_bytes:
            self.command = self.requestline = self.request_version = ""
            self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif head:
            self.server.request_is_there(self.connection)
            self.handle_one_request()

    def receive_head(self) -> bytes:
        """Returns what came up to the first empty line or past `head_bytes`.

        Nothing if the client hangs up before, or takes longer than `head_seconds`.
        """
        deadline = time.monotonic() + self.head_seconds
        head = bytearray()
        searched = 0
        while not END_OF_HEAD.search(head, searched) and len(head) <= self.head_bytes:
            searched = max(0, len(head) - 2)
            # The same time for each part would let single bytes drip in for ever.
            left = deadline - time.monotonic()
            if left <= 0:
                return b""
            self.connection.settimeout(left)
            try:
                part = self.connection.recv(self.head_bytes)
            except TimeoutError:
                return b""
            if not part:
                return b""
            head += part
        return bytes(head)

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        # Headers that do not parse could hide a second Host.
        hosts = [] if self.headers.defects else self.headers.get_all("Host", [])
        if len(hosts) == 1 and self.server.is_named(hosts[0]):
            return True
        # 421 and not 403: under another name, the same request would be answered.
        self.send_error(
            HTTPStatus.MISDIRECTED_REQUEST,
            explain="Open this server by its IP address or as localhost, on port "
            f"{self.server.server_address[1]}, or start it with --host=NAME.",
        )
        return False

    def do_GET(self) -> None:
        name = unquote(self.path.partition("?")[0])
        if name.endswith("/"):
            name += "index.html"
        try:
            file = open_file(self.directory, name)
        except (OSError, ValueError):
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with file:
            status = os.fstat(file.fileno())
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", self.guess_type(name))
            self.send_header("Content-Length", str(status.st_size))
            self.send_header("Last-Modified", self.date_time_string(status.st_mtime))
            self.end_headers()
            if self.command == "GET":
                self.copyfile(file, self.wfile)

    do_HEAD = do_GET

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


def open_file(folder: str, name: str) -> BinaryIO:
    """Opens a regular file of the folder.

    Args:
      folder: the one to stay in.
      name: the file's, in it, with slashes; from the client, so anything.

    Raises:
      OSError, ValueError: there is none, or it is not to be served.
    """
    refuse_hidden(name.split("/"))
    # Strict: thousands of parts cost nothing once one is missing.
    root = os.path.realpath(folder, strict=True)
    path = os.path.realpath(f"{root}/{name}", strict=True)
    # A link may point out of the folder, or to what is hidden in it.
    refuse_hidden(Path(path).relative_to(root).parts)
    # Opening a FIFO would wait for its writer. Windows has neither.
    no_wait = getattr(os, "O_NONBLOCK", 0)
    file = io.FileIO(path, opener=lambda path, flags: os.open(path, flags | no_wait))
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise FileNotFoundError(path)
    return file


def refuse_hidden(parts: Iterable[str]) -> None:
    """Raises FileNotFoundError if one starts with a dot: `..` does, too."""
    if any(part.startswith(".") for part in parts):
        raise FileNotFoundError


# http.server's own class asks the DNS for a name before it answers.
class Server(ThreadingTCPServer):
    """Serves until interrupted; a browser that hangs up is no error.

    At most `connections_at_once` are open. One more closes the one that is open
    longest, of those whose request is not there yet if there are any.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024
    connections_at_once = 128

    def __init__(
        self, family: int, address: Any, handler: Any, names: Iterable[str]
    ) -> None:
        self.address_family = family
        self.names = {name.lower().rstrip(".") for name in names}
        # In the order they came, with whether the request is there.
        self.connections: dict[socket.socket, bool] = {}
        self.changed = threading.Condition()
        super().__init__(address, handler)

    @property
    def url(self) -> str:
        host, port = self.server_address[:2]
        return f"http://{in_url(str(host))}:{port}/"

    def is_named(self, host: str) -> bool:
        """Whether a Host header means this server.

        A page from elsewhere reaches a server in the browser's network under a name of
        its own, which it lets point there; it cannot do that with an IP address.
        """
        match = HOST_HEADER.fullmatch(host.strip())
        if not match:
            return False
        ipv6, name, port = match.groups()
        if port and port != str(self.server_address[1]):
            return False
        if ipv6 is not None:
            return is_address(ipv6, ipaddress.IPv6Address)
        return name.lower() in self.names or is_address(name, ipaddress.IPv4Address)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self.changed:
            if len(self.connections) >= self.connections_at_once:
                # False comes before True, and the first of several is taken.
                oldest = min(self.connections, key=self.connections.__getitem__)
                # Ends its thread's waiting, too.
                with contextlib.suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)
                self.changed.wait_for(lambda: oldest not in self.connections)
            self.connections[request] = False
        super().process_request(request, client_address)

    def request_is_there(self, connection: socket.socket) -> None:
        with self.changed:
            self.connections[connection] = True

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self.changed:
            self.connections.pop(request, None)
            self.changed.notify()

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


def define_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_string("dir", "", "the export's folder", flag_values=values)
    flags.DEFINE_integer(
        "port", 8000, "0 takes any free one", 0, 65535, flag_values=values
    )
    flags.DEFINE_string(
        "host",
        "127.0.0.1",
        "the address or name to listen on; 0.0.0.0 also answers other machines, "
        "to this machine's name too",
        flag_values=values,
    )


def main(values: flags.FlagValues) -> None:
    given: dict[str, Any] = values.flag_values_dict()
    with (
        contextlib.suppress(KeyboardInterrupt),
        open_server(given["dir"], given["host"], given["port"]) as server,
    ):
        print(f"{server.url}  (Ctrl-C ends)", flush=True)
        server.serve_forever()


def open_server(directory: str, host: str, port: int) -> Server:
    """Returns a server that listens; `serve_forever` answers.

    Args:
      directory: an export with a web page.
      host: an address or name of this machine. All addresses only as 0.0.0.0 or ::,
        which answer to this machine's name as well.
      port: in [0, 65535]; 0 is any free one.

    Raises:
      UserError: no such folder, no web page in it, or the address cannot be had.
    """
    if not directory:
        raise UserError("--dir is missing: the folder that python -m export wrote")
    if not Path(directory).is_dir():
        raise UserError(f"no such folder: {directory}")
    if not (Path(directory) / "index.html").is_file():
        raise UserError(
            f"{directory} has no web page; write it with: "
            f"python -m export --run_dir=RUN_DIR --output_dir={directory} --web"
        )
    family, address = find_address(host, port)
    names = ["localhost", host]
    if host in ALL_ADDRESSES:
        names.append(socket.gethostname())
    try:
        return Server(family, address, partial(Handler, directory=directory), names)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UserError(
                f"port {port} is in use; choose another with --port, or 0 for any free"
            ) from error
        raise UserError(
            f"cannot listen on {in_url(host)}:{port}: {error.strerror}"
        ) from error


def find_address(host: str, port: int) -> tuple[int, Any]:
    """Returns the family and the socket address of a --host.

    Raises:
      UserError: it has none, or means all addresses without saying so.
    """
    right = "127.0.0.1 answers this machine only, 0.0.0.0 also others"
    if not host:
        raise UserError(f"--host is empty; {right}")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise UserError(
            f"unknown --host {host!r}: {getattr(error, 'strerror', None) or error}"
        ) from error
    # Where a name has both, IPv4: that of ::1 may be there without IPv6.
    family, *_, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    if address[0] in ALL_ADDRESSES and host not in ALL_ADDRESSES:
        raise UserError(f"--host={host} means all addresses; {right}")
    return family, address


def is_address(text: str, kind: Callable[[str], Any]) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


def in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


if __name__ == "__main__":
    run_program(__doc__, define_flags, main)
