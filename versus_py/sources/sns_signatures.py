"""The signatures of SNS. Apart, as what verifies them takes 8 MB, which only who listens to SNS needs.

Source: docs.aws.amazon.com/sns, "Verifying the signatures of Amazon SNS messages".
"""

from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm

HASHES: dict[str, HashAlgorithm] = {"1": SHA1(), "2": SHA256()}  # noqa: S303 - SNS' default until a topic says 2
"""By what a message says in SignatureVersion."""


@dataclass(frozen=True, slots=True)
class Key:
    """What a certificate of SNS verifies signatures with."""

    rsa: RSAPublicKey

    @classmethod
    def read(cls, certificate: bytes) -> "Key":
        """From a certificate in PEM. Raises ValueError with a sentence."""
        try:
            key = x509.load_pem_x509_certificate(certificate).public_key()
        except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as exc:
            raise ValueError("the answer is no X.509 certificate") from exc
        if not isinstance(key, RSAPublicKey):
            raise ValueError("the certificate has no RSA key")  # noqa: TRY004 - of what was sent, not of an argument
        return cls(key)

    def verify(self, signature: bytes, signed: bytes, version: str) -> None:
        """Raises ValueError with a sentence when *signature* was not made for *signed*; *version* is of HASHES."""
        try:
            self.rsa.verify(signature, signed, PKCS1v15(), HASHES[version])
        except InvalidSignature:
            raise ValueError("the message is not what its Signature was made for") from None
        except UnsupportedAlgorithm:
            raise ValueError("its signature cannot be verified here; set the topic's SignatureVersion to 2") from None
