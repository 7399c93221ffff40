"""Serves an exported decoder's web page on this machine.

  python -m tools.serve_web --dir=EXPORT_DIR

Prints the address; Ctrl-C ends it. The folder comes from `python -m export … --web`.
"""

import contextlib
import errno
import socket
import sys
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

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


class Handler(SimpleHTTPRequestHandler):
    """Answers GET and HEAD for the files of one folder, and for nothing else."""

    extensions_map = MIME_TYPES

    def send_head(self) -> Any:
        try:
            # A link may point out of the folder.
            path = Path(self.translate_path(self.path)).resolve()
            inside = path.is_relative_to(Path(self.directory).resolve())
        except ValueError:  # a NUL in the name
            inside = False
        if not inside:
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        return super().send_head()

    def list_directory(self, path: Any) -> None:
        self.send_error(HTTPStatus.NOT_FOUND)

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Serves until interrupted; a browser that hangs up is no error."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def define_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_string("dir", "", "the export's folder", flag_values=values)
    flags.DEFINE_integer(
        "port", 8000, "0 takes any free one", 0, 65535, flag_values=values
    )
    flags.DEFINE_string(
        "host",
        "127.0.0.1",
        "the address to listen on; 0.0.0.0 also answers other machines",
        flag_values=values,
    )


def main(values: flags.FlagValues) -> None:
    given: dict[str, Any] = values.flag_values_dict()
    with open_server(given["dir"], given["host"], given["port"]) as server:
        host, port = server.server_address[:2]
        print(f"http://{host!s}:{port}/  (Ctrl-C ends)", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


def open_server(directory: str, host: str, port: int) -> Server:
    """Returns a server that listens; `serve_forever` answers.

    Args:
      directory: an export with a web page.
      host: an IPv4 address or name of this machine.
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
    try:
        return Server((host, port), partial(Handler, directory=directory))
    except socket.gaierror as error:
        raise UserError(f"unknown --host {host!r}: {error.strerror}") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UserError(
                f"port {port} is in use; choose another with --port, or 0 for any free"
            ) from error
        raise UserError(f"cannot listen on {host}:{port}: {error.strerror}") from error


if __name__ == "__main__":
    run_program(__doc__, define_flags, main)
