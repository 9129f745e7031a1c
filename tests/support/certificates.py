# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of a test CA."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path


def create(directory: Path) -> Path:
    """Create a CA; certificates that it signed for a server, a client and, expired, a client; and a self-signed one."""
    names = "-addext", "subjectAltName=IP:127.0.0.1,DNS:agent-api"
    usage = "-addext", "keyUsage=critical,digitalSignature,keyCertSign"
    for name in ("ca", "stranger"):
        _openssl(directory, "req", "-x509", *_new(name), "-days", "2", *names, *usage, "-out", f"{name}.pem")
    (directory / "signed.cnf").write_text("authorityKeyIdentifier = keyid\n", encoding="utf-8")
    # Valid for 0 days: expired at once. Newer versions of openssl refuse negative numbers.
    for name, days in (("server", "2"), ("client", "2"), ("expired", "0")):
        _openssl(directory, "req", *_new(name), *names, "-out", f"{name}.csr")
        signed = "-CA", "ca.pem", "-CAkey", "ca.key", "-days", days
        extensions = "-copy_extensions", "copy", "-extfile", "signed.cnf"
        _openssl(directory, "x509", "-req", "-in", f"{name}.csr", *signed, *extensions, "-out", f"{name}.pem")
    return directory


def _new(name: str) -> list[str]:
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key"]
    return [*key, "-subj", f"/CN={name}"]


def _openssl(directory: Path, *command: str) -> None:
    subprocess.run(["openssl", *command], cwd=directory, check=True, capture_output=True)


def server_options(directory: Path) -> dict[str, str]:
    """Return the options with which the event source serves HTTPS."""
    return {"certfile": str(directory / "server.pem"), "keyfile": str(directory / "server.key")}


def client_context(directory: Path, name: str = "") -> ssl.SSLContext:
    """Return the context of a client that trusts the CA and presents the certificate of this name."""
    context = ssl.create_default_context(cafile=str(directory / "ca.pem"))
    # The default since Python 3.13
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    if name:
        context.load_cert_chain(directory / f"{name}.pem", directory / f"{name}.key")
    return context
