"""The server of exported web pages: types, headers, what it keeps, errors, floods."""

import contextlib
import http.client
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.programs import run_here, start_python
from tools import serve_web

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
PAGE, HOST = "GET / HTTP/1.1", "Host: localhost"
LARGE_FILE = "GET /large HTTP/1.1", HOST
# More than the system takes from a server whose client does not read.
LARGE = 2**24


@pytest.fixture(name="folder")
def _folder(tmp_path):
    folder = tmp_path / ".hidden" / "export"  # a dot above the folder hides nothing
    for name in (*FILES, ".dot", ".git/config", "page/index.html/file"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"this is {name}")
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "link_to_dot").symlink_to(".dot")
    (folder / "link_to_itself").symlink_to("link_to_itself")
    os.mkfifo(folder / "fifo")
    (folder / "link_to_fifo").symlink_to("fifo")
    with (folder / "large").open("wb") as file:
        file.truncate(LARGE)
    return folder


@contextlib.contextmanager
def serving(folder, host="127.0.0.1"):
    with serve_web.open_server(str(folder), host, 0) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        try:
            yield server
        finally:
            server.shutdown()


@pytest.fixture(name="server")
def _server(folder):
    with serving(folder) as server:
        yield server


@contextlib.contextmanager
def connected(server, sent=b""):
    with socket.socket(server.address_family) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        client.settimeout(10)
        client.connect(server.server_address)
        client.sendall(sent)
        yield client


def received(client) -> bytes:
    """All that comes until the server closes."""
    answer = bytearray()
    with contextlib.suppress(ConnectionError):
        while part := client.recv(2**20):
            answer += part
    return bytes(answer)


def request(*lines) -> bytes:
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


def ask(server, *lines):
    """Returns the status and the whole of the answer to a request's lines."""
    with connected(server, request(*lines)) as client:
        answer = received(client).decode()
    return int(answer.split()[1]) if answer.startswith("HTTP/") else None, answer


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
        "/x" * 20000,
        "/.dot",
        "/%2edot",
        "/.git/config",
        "/litert/.absent",
        "/./index.html",
        "/link_to_dot",
        "/link_to_itself",
        "/fifo",
        "/link_to_fifo",
        "/page/",  # index.html is a folder in it
        "/litert",
    ],
)
def test_nothing_else_comes(server, path, capfd):
    response, body = get(server, path)
    assert response.status == 404
    assert "secret" not in body.replace("/secret", "") and "wasm/" not in body
    assert capfd.readouterr().err == ""


def test_other_methods_are_refused(server):
    assert get(server, "/index.html", "PUT")[0].status == 501


def test_a_link_in_the_folder_is_served_with_its_own_type(server, folder):
    (folder / "link.js").symlink_to("style.css")
    response, body = get(server, "/link.js")
    assert (response.status, body) == (200, "this is style.css")
    assert response.headers["Content-Type"] == FILES["app.js"]


def test_only_requests_that_name_the_server_are_answered(folder, monkeypatch, capfd):
    resolve = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **names: resolve("127.0.0.1", *rest, **names),
    )
    with serving(folder, "My.Machine.") as server:
        port = server.server_address[1]
        for host in (
            "127.0.0.1",
            "192.168.1.2",
            "[::1]",
            "[FE80::1]",
            "localhost",
            "LocalHost.",
            "my.machine",
            "MY.machine.",
        ):
            for written in (host, f"{host}:{port}", f" {host}:{port}\t"):
                assert ask(server, PAGE, f"Host:{written}")[0] == 200, written
        for host in (
            "evil.test",
            f"evil.test:{port}",
            f"localhost:{port + 1}",
            f"localhost:{'9' * 5000}",
            f"127.0.0.1:{port}.evil.test",
            "127.0.0.1.evil.test",
            "localhost..",
            "localhost.evil.test",
            "evil@localhost",
            "machine",
            "0x7f.1",
            "::1",
            "[::1",
            "[127.0.0.1]",
            "[localhost]",
            f":{port}",
            "",
            "localhost, evil.test",
            "localhost\r\n evil.test",
        ):
            status, answer = ask(server, PAGE, f"Host: {host}")
            assert status == 421 and "this is" not in answer, host
        for lines in (
            [PAGE],
            [PAGE, "Host: localhost", "Host: localhost"],
            [PAGE, "Host: localhost", "host: evil.test"],
            [PAGE, "Host: localhost", "no header", "Host: evil.test"],
            [PAGE, "Host : localhost"],
            ["GET /absent HTTP/1.1", "Host: evil.test"],
            ["GET / HTTP/1.0"],
            ["GET /"],
        ):
            status, answer = ask(server, *lines)
            assert status == 421 and "this is" not in answer, lines
        status, answer = ask(server, f"GET http://evil.test:{port}/ HTTP/1.1", HOST)
        assert status == 404
    assert capfd.readouterr().err == ""


def test_the_machines_own_name_counts_where_all_addresses_do(folder, monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "Machine")
    for host, status in (("127.0.0.1", 421), ("0.0.0.0", 200)):
        with serving(folder, host) as server:
            assert ask(server, PAGE, "Host: machine")[0] == status
            assert ask(server, PAGE, "Host: evil.test")[0] == 421


def test_ipv6(folder):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("needs IPv6")
    with serving(folder, "::1") as server:
        assert server.url == f"http://[::1]:{server.server_address[1]}/"
        assert get(server, "/index.html")[0].status == 200


def test_what_is_no_request_gets_headers_and_what_is_too_large_an_error(server, capfd):
    limit = serve_web.Handler.head_bytes
    for status, lines in (
        (400, ["GET"]),
        (400, ["POST /"]),
        (400, ["GET / x HTTP/1.1"]),
        (400, ["GET / HTTP/x"]),
        (505, ["GET / HTTP/2.0"]),
        (200, [PAGE, HOST, "Range: bytes=0-1", "Connection: keep-alive"]),
        (200, [PAGE, HOST, "X: " + "x" * (limit - 100)]),
        (431, [PAGE, HOST, "X: " + "x" * limit]),
        (431, [PAGE, HOST, *["X: x"] * 101]),
        (431, [f"GET /{'x' * limit} HTTP/1.1", HOST]),
    ):
        found, answer = ask(server, *lines)
        assert found == status
        assert "\r\nX-Content-Type-Options: nosniff\r\n" in answer
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nX: "])
def test_a_request_has_to_be_there_in_time(server, monkeypatch, capfd, begun):
    assert 0 < serve_web.Handler.head_seconds <= 60
    monkeypatch.setattr(serve_web.Handler, "head_seconds", 0.3)
    begin = time.monotonic()
    with connected(server, begun) as client, contextlib.suppress(ConnectionError):
        client.settimeout(0.05)
        while time.monotonic() < begin + 5:
            with contextlib.suppress(TimeoutError):
                assert client.recv(1) == b""
                break
            client.sendall(b"x" if begun else b"")
    assert time.monotonic() < begin + 3
    assert capfd.readouterr().err == ""


def test_an_answer_has_to_be_taken_in_time(server, monkeypatch, capfd):
    assert 0 < serve_web.Handler.timeout <= 60
    assert len(ask(server, *LARGE_FILE)[1]) > LARGE
    monkeypatch.setattr(serve_web.Handler, "timeout", 0.2)
    with connected(server, request(*LARGE_FILE)) as client:
        time.sleep(1)
        assert 0 < len(received(client)) < LARGE
    assert capfd.readouterr().err == ""


def test_a_flood_neither_starts_many_threads_nor_delays_others(server, capfd):
    threads = threading.active_count()
    with contextlib.ExitStack() as flood:
        for _ in range(600):
            flood.enter_context(connected(server))
        begin = time.monotonic()
        with ThreadPoolExecutor(20) as browser:
            answers = list(browser.map(lambda _: get(server, "/app.js"), range(20)))
        assert time.monotonic() - begin < 5
        assert {body for _, body in answers} == {"this is app.js"}
        started = threading.active_count() - threads
        assert started <= server.connections_at_once <= 256
    assert capfd.readouterr().err == ""


def test_clients_that_take_nothing_do_not_shut_out_others(server, monkeypatch, capfd):
    monkeypatch.setattr(server, "connections_at_once", 3)
    with contextlib.ExitStack() as slow:
        clients = [
            slow.enter_context(connected(server, request(*LARGE_FILE)))
            for _ in range(3)
        ]
        for client in clients:
            assert client.recv(1) == b"H"
        slow.enter_context(connected(server))
        assert get(server, "/app.js")[1] == "this is app.js"
        # The silent one went before the next that was being answered.
        assert [len(received(client)) > LARGE for client in clients] == [0, 1, 1]
    assert capfd.readouterr().err == ""


def test_a_port_in_use_is_named(folder, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run_here(serve_web, f"--dir={folder}", f"--port={port}") == 2
    assert f"port {port} is in use" in capsys.readouterr().err


def test_prints_the_address_and_ends_quietly_with_ctrl_c(folder, interruptible):
    with start_python(
        "-m", "tools.serve_web", f"--dir={folder}", "--port=0"
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
