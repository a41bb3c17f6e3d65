"""What is said of a Prefect server that does not answer, or not to us: asked of a real one, which wants a password."""

import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_SSL_CERT_FILE,
    PREFECT_API_TLS_INSECURE_SKIP_VERIFY,
    PREFECT_CLIENT_CUSTOM_HEADERS,
    temporary_settings,
)

from flows.server import health
from tests.flows.prefect_server import Server

PASSWORD = "admin:of-this-test"
HEADER = {"X-Gate": "open"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("prefect"), PREFECT_SERVER_API_AUTH_STRING=PASSWORD)
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody has signed but itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gate")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path = tmp_path_factory.mktemp("tls") / "gate.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(serialization.Encoding.PEM, *plain)
    )
    return path


@pytest.fixture(scope="module")
def gate(server: Server, certificate: Path) -> Iterator[str]:
    """The server's address behind TLS, where a proxy lets in only who brings the header."""

    class Gate(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers.get("X-Gate") != HEADER["X-Gate"]:
                return self.answer(403, b"closed")
            passed_on = {name: self.headers[name] for name in ("Authorization",) if name in self.headers}
            request = urllib.request.Request(f"http://127.0.0.1:{server.port}{self.path}", headers=passed_on)
            try:
                with urllib.request.urlopen(request) as found:
                    self.answer(found.status, found.read())
            except urllib.error.HTTPError as error:
                self.answer(error.code, error.read())

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Gate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    proxy.socket = context.wrap_socket(proxy.socket, server_side=True)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{proxy.server_port}/api"
    proxy.shutdown()


def test_a_server_that_wants_a_password_answers_who_has_it(server: Server) -> None:
    with temporary_settings({PREFECT_API_AUTH_STRING: PASSWORD}):
        assert health.problem(server.api) is None
    for wrong in (None, "admin:of-another"):
        with temporary_settings({PREFECT_API_AUTH_STRING: wrong}):
            why = health.problem(server.api)
        assert why is not None
        assert "status 401" in why
        assert "PREFECT_API_AUTH_STRING" in why
        assert PASSWORD not in why


def test_a_server_behind_tls_and_a_header_is_asked_as_prefect_asks_it(gate: str, certificate: Path) -> None:
    ours = {PREFECT_API_AUTH_STRING: PASSWORD, PREFECT_CLIENT_CUSTOM_HEADERS: HEADER}
    with temporary_settings(ours):
        assert "CERTIFICATE_VERIFY_FAILED" in (health.problem(gate) or "")
    with temporary_settings({**ours, PREFECT_API_SSL_CERT_FILE: str(certificate)}):
        assert health.problem(gate) is None
    with temporary_settings({**ours, PREFECT_API_TLS_INSECURE_SKIP_VERIFY: True}):
        assert health.problem(gate) is None
    with temporary_settings({PREFECT_API_AUTH_STRING: PASSWORD, PREFECT_API_SSL_CERT_FILE: str(certificate)}):
        assert "status 403" in (health.problem(gate) or "")


def test_an_address_that_is_none_of_an_api(server: Server, tmp_path: Path) -> None:
    page = server.api.removesuffix("/api")
    assert health.problem(page) == "what answers is no Prefect API, whose address ends with /api"
    assert health.problem("http://127.0.0.1:99999/api")
    assert health.problem("127.0.0.1:4200/api")
    with temporary_settings({PREFECT_API_SSL_CERT_FILE: str(tmp_path / "none.pem")}):
        why = health.problem("https://127.0.0.1:9/api")
    assert why == f"PREFECT_API_SSL_CERT_FILE={tmp_path / 'none.pem'}: no such file"


def test_a_password_in_an_address_is_not_shown() -> None:
    assert health.without_password("http://127.0.0.1:4200/api") == "http://127.0.0.1:4200/api"
    for password in ("secret", "a/b", "a#b", "a?b", "a@b"):
        address = f"https://user:{password}@prefect.example:x/api"
        assert health.without_password(address) == "https://prefect.example:x/api"
        assert health.without_password(address.removeprefix("https://")) == "prefect.example:x/api"
        assert password not in (health.problem(address) or password)
