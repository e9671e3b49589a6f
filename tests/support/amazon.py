"""SNS, as far as it signs."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.payloads import sample
from versus_py.sources.sns_signatures import Key

TOPIC = "arn:aws:sns:eu-west-1:123456789012:alarms"
HOST = "https://sns.eu-west-1.amazonaws.com"
SUBSCRIBE_URL = f"{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336412f37"


def certificate_url(name: object) -> str:
    return f"{HOST}/SimpleNotificationService-{name}.pem"


CERTIFICATE_URL = certificate_url("x")


class Amazon:
    """Signs as SNS does."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .sign(self._key, SHA256())
        )
        self.certificate = certificate.public_bytes(Encoding.PEM)

    def key(self) -> Key:
        return Key(self._key.public_key())

    def sign(self, text: str, version: str) -> str:
        algorithm = {"1": SHA1(), "2": SHA256()}[version]
        return base64.b64encode(self._key.sign(text.encode(), padding.PKCS1v15(), algorithm)).decode()

    def notification(
        self, version: str = "2", *, subject: str | None = "ALARM", topic: str = TOPIC, **fields: str
    ) -> dict[str, Any]:
        payload: dict[str, Any] = sample("cloudwatch_alarm") | {
            "Subject": subject,
            "TopicArn": topic,
            "SignatureVersion": version,
        }
        payload |= fields
        text = f"Message\n{payload['Message']}\nMessageId\n{payload['MessageId']}\n"
        if subject is not None:
            text += f"Subject\n{subject}\n"
        text += f"Timestamp\n{payload['Timestamp']}\nTopicArn\n{topic}\nType\nNotification\n"
        return payload | {"Signature": self.sign(text, version)}

    def subscription(
        self, version: str = "2", *, kind: str = "SubscriptionConfirmation", url: str = SUBSCRIBE_URL
    ) -> dict[str, Any]:
        payload: dict[str, Any] = sample("cloudwatch_subscription") | {
            "Type": kind,
            "SubscribeURL": url,
            "SignatureVersion": version,
        }
        text = (
            f"Message\n{payload['Message']}\nMessageId\n{payload['MessageId']}\nSubscribeURL\n{url}\n"
            f"Timestamp\n{payload['Timestamp']}\nToken\n{payload['Token']}\nTopicArn\n{TOPIC}\nType\n{kind}\n"
        )
        return payload | {"Signature": self.sign(text, version)}
