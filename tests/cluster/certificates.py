"""A throw-away certificate authority for an API server on loopback."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey
_DAY = timedelta(days=1)


class Authority:
    """Signs for as long as the tests run. Everything lies in ``directory``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gitvirt tests")])
        certificate = (
            self._builder(self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = self._write("ca.crt", certificate.public_bytes(serialization.Encoding.PEM))

    def server(self, name: str = "server", *also: str) -> tuple[Path, Path]:
        """(certificate, key) for 127.0.0.1, and for ``also``."""
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        names = [address, *(x509.DNSName(one) for one in ("localhost", *also))]
        return self._signed(name, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), names)

    def client(self, user: str, *groups: str) -> tuple[Path, Path]:
        """(certificate, key) of a user, as Kubernetes reads names and organisations."""
        parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        name = x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, user)])
        return self._signed(f"client-{user}", name, [])

    def signing_key(self) -> Path:
        """A key for service account tokens."""
        return self._write_key("sa.key", rsa.generate_private_key(public_exponent=65537, key_size=2048))

    def _signed(self, stem: str, name: x509.Name, names: list[x509.GeneralName]) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(name, key)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        return self._write(f"{stem}.crt", pem), self._write_key(f"{stem}.key", key)

    def _builder(self, name: x509.Name, key: Key) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY)
            .not_valid_after(now + _DAY)
        )

    def _write_key(self, name: str, key: Key | rsa.RSAPrivateKey) -> Path:
        plain = serialization.NoEncryption()
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        return self._write(name, pem)

    def _write(self, name: str, content: bytes) -> Path:
        path = self._directory / name
        path.write_bytes(content)
        path.chmod(0o600)
        return path
