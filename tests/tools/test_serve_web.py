"""The server of exported web pages: MIME types, headers, what it keeps, errors."""

import http.client
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dfcvae_tf.command_line import run_program
from tools import serve_web

ROOT = Path(serve_web.__file__).parents[1]
FILES = {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "manifest.json": "application/json",
    "decoder_float32.tflite": "application/octet-stream",
    "litert/wasm/litert.wasm": "application/wasm",
    "saved_model/saved_model.pb": "application/octet-stream",
}


@pytest.fixture(name="folder")
def _folder(tmp_path):
    folder = tmp_path / "export"
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"this is {name}")
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    return folder


@pytest.fixture(name="server")
def _server(folder):
    with serve_web.open_server(str(folder), "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield server
        server.shutdown()


def get(server, path, method="GET"):
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=10)
    connection.request(method, path)
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    return response, body


@pytest.mark.parametrize("name", FILES)
def test_files_come_whole_with_their_type(server, name):
    response, body = get(server, f"/{name}")
    assert (response.status, body) == (200, f"this is {name}")
    assert response.headers["Content-Type"] == FILES[name]
    assert get(server, f"/{name}", "HEAD")[1] == ""


@pytest.mark.parametrize("path", ["/", "/manifest.json?new", "/absent"])
def test_every_answer_isolates_the_page_and_is_not_kept(server, path):
    headers = get(server, path)[0].headers
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    policy = headers["Content-Security-Policy"]
    assert "default-src 'self'; script-src 'self' 'wasm-unsafe-eval';" in policy
    assert "unsafe-inline" not in policy and "http" not in policy


@pytest.mark.parametrize(
    "path",
    [
        "/../secret",
        "/%2e%2e/secret",
        "/litert/..%2f..%2f..%2fsecret",
        "/..%5csecret",
        "//secret",
        "/link",  # points out of the folder
        "/litert/",  # a folder is not listed
        "/saved_model/saved_model.pb/",
        "/%00",
        "/" + "x" * 5000,
    ],
)
def test_nothing_else_comes(server, path, capfd):
    response, body = get(server, path)
    assert response.status == 404
    assert "secret" not in body.replace("/secret", "") and "wasm/" not in body
    assert capfd.readouterr().err == ""


def test_other_methods_are_refused(server):
    assert get(server, "/index.html", "PUT")[0].status == 501


def tool(*arguments) -> object:
    with pytest.raises(SystemExit) as stop:
        run_program(
            serve_web.__doc__,
            serve_web.define_flags,
            serve_web.main,
            ["serve_web", *arguments],
        )
    return stop.value.code


def test_wrong_input_is_one_line_and_code_2(tmp_path, folder, capsys):
    def error(*arguments):
        assert tool(*arguments) == 2
        shown = capsys.readouterr().err
        assert shown.count("\n") == 1
        return shown

    assert "--dir is missing" in error()
    assert "no such folder" in error(f"--dir={tmp_path / 'absent'}")
    assert f"--output_dir={tmp_path} --web" in error(f"--dir={tmp_path}")
    assert "--port" in error(f"--dir={folder}", "--port=65536")
    assert "unknown --host" in error(f"--dir={folder}", "--host=no.such.invalid")
    assert "cannot listen" in error(f"--dir={folder}", "--host=192.0.2.1")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"port {port} is in use" in error(f"--dir={folder}", f"--port={port}")


def test_prints_the_address_and_ends_quietly_with_ctrl_c(folder, interruptible):
    with subprocess.Popen(
        [sys.executable, "-m", "tools.serve_web", f"--dir={folder}", "--port=0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            address = process.stdout.readline().split()[0]
            host, port = address.removeprefix("http://").rstrip("/").split(":")
            connection = http.client.HTTPConnection(host, int(port), timeout=10)
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"this is index.html"
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, rest, errors) == (0, "", "")
