"""Whether payloads may be believed, where their sender signs them."""

from collections.abc import Mapping, Sequence

from aiohttp import web

from versus_py.config import SourcesConfig
from versus_py.sources import cloudwatch, sentry
from versus_py.sources.sns import CertificateMissing, SnsDoor, Untrusted
from versus_py.sources.webhook import Webhook
from versus_py.web.intake.reading import Payload

SNS_REPEATS_AFTER_S = 20
"""By default, SNS sends again after this time what was answered with 503."""


class Trust:
    """The checks of what is signed. Everything else is believed as far as the network is."""

    def __init__(self, settings: SourcesConfig, sns: SnsDoor) -> None:
        self._sentry_secret = settings.sentry.client_secret.get_secret_value()
        self._sns = sns

    def believed(
        self, payloads: Sequence[Payload], body: bytes, headers: Mapping[str, str]
    ) -> tuple[list[Payload], list[str]]:
        """What may be believed of the payloads, and a warning for each that is left out.

        Raises the answer when nothing is left: 401 or 403; and 503 as long as that cannot be told.
        """
        found: list[Payload] = []
        refusals: list[web.HTTPException] = []
        for payload in payloads:
            try:
                found.append(self._believed(payload, body, headers))
            except (web.HTTPUnauthorized, web.HTTPForbidden) as exc:
                refusals.append(exc)
        if refusals and not found:
            raise refusals[0]
        return found, [f"a payload was left out: {exc.text}" for exc in refusals]

    def _believed(self, payload: Payload, body: bytes, headers: Mapping[str, str]) -> Payload:
        """*payload*, or the part of it that is signed.

        It needs the signature of every source whose shape it has: then it does not matter which of them reads it.
        """
        if isinstance(payload, Webhook):  # it has nothing of what the others are known by
            return payload
        if self._sentry_secret and sentry.recognizes(payload):
            signature = headers.get("Sentry-Hook-Signature", "")
            if not sentry.is_signed(body, signature, self._sentry_secret):
                raise web.HTTPUnauthorized(
                    text="Sentry-Hook-Signature is not that of this body; check sources.sentry.client_secret"
                )
        if cloudwatch.recognizes(payload):
            return self._signed_by_sns(payload)
        if cloudwatch.is_raw(payload):
            raise web.HTTPForbidden(
                text="an alarm without its envelope has no signature: switch raw message delivery of the "
                "SNS subscription off"
            )
        return payload

    def _signed_by_sns(self, payload: Payload) -> Payload:
        try:
            return self._sns.check(payload)
        except Untrusted as exc:
            raise web.HTTPForbidden(text=str(exc)) from None
        except CertificateMissing as exc:
            raise web.HTTPServiceUnavailable(text=str(exc), headers={"Retry-After": str(SNS_REPEATS_AFTER_S)}) from None
