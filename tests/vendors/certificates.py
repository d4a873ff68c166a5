"""Whom do test servers claim to be? This machine, by the word of an authority that nobody knows, made by openssl."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certified:
    """A server's certificate, and the only one who believes it."""

    server: ssl.SSLContext
    authority: Path

    def believer(self) -> ssl.SSLContext:
        """A client's context that trusts it and nobody else."""
        return ssl.create_default_context(cafile=str(self.authority))


def certify(directory: Path, host: str = "127.0.0.1") -> Certified:
    """A new key and a certificate, signed by itself, for an IP address or a name."""
    key, certificate = directory / f"{host}.key", directory / f"{host}.pem"
    kind = "IP" if host[0].isdigit() else "DNS"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=Leeway test", "-keyout", str(key)),
            *("-addext", f"subjectAltName={kind}:{host}", "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    return Certified(server, certificate)
