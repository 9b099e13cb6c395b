"""An authority and a certificate for localhost, made for one test run."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, NamedTuple

import trustme

if TYPE_CHECKING:
    from pathlib import Path


class Certificates(NamedTuple):
    """What a server shows, and the file with the authority that a client is to trust."""

    server: ssl.SSLContext
    authority: Path


def make_certificates(folder: Path) -> Certificates:
    """Make both; the authority's file lies in the folder."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    path = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return Certificates(server, path)
