"""Trust in SNS: messages signed like Amazon's, with certificates fetched and subscriptions confirmed like Amazon's."""

import asyncio
import base64
import math
import re
from contextlib import asynccontextmanager, suppress

import pytest
import trustme
from aioresponses.compat import normalize_url
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support.amazon import CERTIFICATE_URL, SUBSCRIBE_URL, TOPIC, Amazon, certificate_url
from tests.support.answers import canned_answers
from tests.support.payloads import damaged
from tests.support.waiting import DEADLINE_S, until
from versus_py.config import CloudWatchConfig
from versus_py.sources import sns
from versus_py.sources.sns import CertificateMissing, SnsDoor, Untrusted


@pytest.fixture(scope="module")
def amazon():
    return Amazon()


@pytest.fixture
def answers():
    with canned_answers() as found:
        yield found


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(sns, "PAUSES_S", (0, 0, 0))


@pytest.fixture
def seconds():
    return [1000.0]


@pytest.fixture
def door(session, seconds):
    return SnsDoor(CloudWatchConfig(topics=(TOPIC,)), session, now_s=lambda: seconds[0])


@asynccontextmanager
async def running(door):
    stop = asyncio.Event()
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as loops:
        loops.create_task(door.run(stop))
        yield
        stop.set()


def nothing_is_asked_for(door):
    return math.inf not in door._asked_until_s.values()


def is_let_in(door, envelope):
    with suppress(CertificateMissing):
        door.check(envelope)
        return True
    return False


def was_logged(logs, event):
    return lambda: any(line["event"] == event for line in logs)


def requests(answers):
    """How often each URL was asked for."""
    return {url: len(calls) for (_, url), calls in answers.requests.items()}


def once(*urls):
    return dict.fromkeys(map(normalize_url, urls), 1)


@pytest.fixture
async def open_door(door, amazon, answers, logs):
    """A door that has the certificate, and is at work."""
    answers.get(CERTIFICATE_URL, body=amazon.certificate)
    async with running(door):
        with pytest.raises(CertificateMissing):
            door.check(amazon.notification())
        await until(was_logged(logs, "sns.certificate_fetched"))
        yield door


@pytest.mark.parametrize("version", ["1", "2"])
async def test_what_sns_signed_is_let_in_with_either_version(open_door, amazon, version):
    open_door.check(amazon.notification(version))
    open_door.check(amazon.notification(version, subject=None))
    open_door.check(amazon.subscription(version, kind="UnsubscribeConfirmation"))


async def test_a_message_without_the_field_subject_is_let_in(open_door, amazon):
    envelope = amazon.notification(subject=None)
    del envelope["Subject"]

    open_door.check(envelope)


async def test_a_message_that_is_delivered_again_is_let_in_again(open_door, amazon):
    envelope = amazon.notification()

    open_door.check(envelope)
    open_door.check(envelope)


@pytest.mark.parametrize(
    "change",
    [
        {"Message": "{}"},
        {"MessageId": "another"},
        {"Subject": "OK"},
        {"Subject": None},
        {"Timestamp": "2026-05-05T10:20:00.500Z"},
        {"Signature": ""},
        {"Signature": "QUJD"},
        {"Signature": None},
        {"SignatureVersion": "1"},
    ],
    ids=str,
)
async def test_an_altered_message_is_refused(open_door, amazon, change):
    with pytest.raises(Untrusted, match="not what its Signature was made for"):
        open_door.check(amazon.notification() | change)


async def test_a_notification_cannot_be_passed_off_as_a_subscription(open_door, amazon):
    envelope = amazon.notification() | {"SubscribeURL": SUBSCRIBE_URL, "Token": "x", "Type": "SubscriptionConfirmation"}

    with pytest.raises(Untrusted, match="not what its Signature was made for"):
        open_door.check(envelope)


async def test_a_message_signed_by_somebody_else_is_refused(open_door):
    with pytest.raises(Untrusted, match="not what its Signature was made for"):
        open_door.check(Amazon().notification())


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"Type": "Other"}, "Type is none of Notification, SubscriptionConfirmation, UnsubscribeConfirmation"),
        ({"Type": ["Notification"]}, "Type is none of Notification"),
        ({"Message": None}, "Message is missing, or no text"),
        ({"Timestamp": 7}, "Timestamp is missing, or no text"),
        ({"Subject": {}}, "Subject is missing, or no text"),
        ({"SignatureVersion": "3"}, "SignatureVersion is none of 1, 2"),
        ({"SignatureVersion": 1}, "SignatureVersion is none of 1, 2"),
        ({"Signature": "no base64!"}, "Signature is no base64"),
        ({"Signature": "é"}, "Signature is no base64"),
    ],
    ids=str,
)
async def test_a_malformed_message_is_refused_by_the_rule_it_breaks(door, amazon, change, rule):
    with pytest.raises(Untrusted) as raised:
        door.check(amazon.notification() | change)

    assert str(raised.value).startswith(rule)


async def test_a_topic_that_is_not_listed_is_refused_and_the_setting_is_named(door, amazon):
    other = "arn:aws:sns:eu-west-1:666:alarms"

    with pytest.raises(Untrusted, match=f"topic '{other}' is not accepted here; .* sources.cloudwatch.topics"):
        door.check(amazon.notification(topic=other))


@pytest.mark.parametrize(
    "url",
    [
        None,
        7,
        "",
        CERTIFICATE_URL.replace("https", "http"),
        "https://evil.example/SimpleNotificationService-x.pem",
        "https://sns.eu-west-1.amazonaws.com.evil.example/SimpleNotificationService-x.pem",
        "https://sns.eu-west-1.amazonaws.com@evil.example/SimpleNotificationService-x.pem",
        "https://user:pass@sns.eu-west-1.amazonaws.com/SimpleNotificationService-x.pem",
        "https://evil.example#@sns.eu-west-1.amazonaws.com/SimpleNotificationService-x.pem",
        "https://evil.example\\@sns.eu-west-1.amazonaws.com/SimpleNotificationService-x.pem",
        "https://sns.eu-west-1.amazonaws.com:8443/SimpleNotificationService-x.pem",
        "https://sns.eu-west-1.amazonaws.com/?Action=x.pem",
        "https://sns.eu-west-1.amazonaws.com/x.pem",
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-.pem",
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-x.crt",
        "https://s3.eu-west-1.amazonaws.com/SimpleNotificationService-x.pem",
        "https://sns.a.b.amazonaws.com/SimpleNotificationService-x.pem",
        "https://snsXeu-west-1.amazonaws.com/SimpleNotificationService-x.pem",
        # Other spellings of the one that is allowed.
        f"{CERTIFICATE_URL}?y",
        f"{CERTIFICATE_URL}#y",
        f"{CERTIFICATE_URL}\n",
        CERTIFICATE_URL.replace(".com/", ".com:443/"),
        CERTIFICATE_URL.replace(".com/", ".com./"),
        CERTIFICATE_URL.replace(".com/", ".com//"),
        CERTIFICATE_URL.replace(".com/", ".com/./"),
        CERTIFICATE_URL.replace(".com/", ".com/a/../"),
        CERTIFICATE_URL.replace("-x", "-%78"),
        CERTIFICATE_URL.replace("eu-west", "EU-west"),
        CERTIFICATE_URL.replace("sns.", "SNS."),
        CERTIFICATE_URL.replace("https", "HTTPS"),
    ],
)
async def test_a_certificate_from_elsewhere_is_refused_and_never_fetched(door, amazon, answers, url):
    async with running(door):
        with pytest.raises(Untrusted, match="SigningCertURL is refused: allowed is https://sns"):
            door.check(amazon.notification() | {"SigningCertURL": url})

    assert requests(answers) == {}


async def test_a_certificate_of_another_region_than_the_topics_is_refused(door, amazon):
    elsewhere = "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-x.pem"

    with pytest.raises(Untrusted, match="SigningCertURL is in region 'us-east-1', which is not the one of topic"):
        door.check(amazon.notification() | {"SigningCertURL": elsewhere})


async def test_a_topic_in_the_settings_that_is_no_arn_lets_nothing_in(session, amazon):
    door = SnsDoor(CloudWatchConfig(topics=("alarms",)), session)

    with pytest.raises(Untrusted, match="not the one of topic 'alarms'"):
        door.check(amazon.notification(topic="alarms"))


async def test_the_chinese_hosts_are_allowed(door, amazon):
    with pytest.raises(CertificateMissing, match="send it again"):
        door.check(amazon.notification() | {"SigningCertURL": CERTIFICATE_URL.replace(".com", ".com.cn")})


async def test_a_certificate_is_fetched_once_however_many_messages_want_it(door, amazon, answers, logs):
    other_url = certificate_url("other")
    answers.get(CERTIFICATE_URL, body=amazon.certificate, repeat=True)
    answers.get(other_url, body=amazon.certificate)

    for url in (CERTIFICATE_URL, CERTIFICATE_URL, CERTIFICATE_URL, other_url):
        with pytest.raises(CertificateMissing):
            door.check(amazon.notification() | {"SigningCertURL": url})
    async with running(door):
        await until(lambda: normalize_url(other_url) in requests(answers))
        await until(was_logged(logs, "sns.certificate_fetched"))
        door.check(amazon.notification())

    assert requests(answers) == once(CERTIFICATE_URL, other_url)


async def test_nothing_is_fetched_by_the_check_itself(door, amazon, answers):
    for _ in range(3):
        with pytest.raises(CertificateMissing):
            door.check(amazon.notification())

    assert requests(answers) == {}


def of_version_6():
    """A certificate as there is none."""
    der = x509.load_pem_x509_certificate(Amazon().certificate).public_bytes(Encoding.DER)
    changed = base64.encodebytes(der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05", 1))
    return b"-----BEGIN CERTIFICATE-----\n" + changed + b"-----END CERTIFICATE-----\n"


BAD_ANSWERS = [
    pytest.param({"status": 404}, "SNS answered 404", id="not found"),
    pytest.param(
        {"status": 302, "headers": {"Location": "https://evil.example/x.pem"}}, "SNS answered 302", id="redirect"
    ),
    pytest.param({"body": b"x" * (64 * 1024 + 1)}, "the answer is larger than 65536 bytes", id="oversized"),
    pytest.param({"body": b"<html>"}, "the answer is no X.509 certificate", id="a page"),
    pytest.param(
        {"body": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"},
        "the answer is no X.509 certificate",
        id="a broken certificate",
    ),
    pytest.param({"body": of_version_6()}, "the answer is no X.509 certificate", id="a version that does not exist"),
    pytest.param({"body": trustme.CA().cert_pem.bytes()}, "the certificate has no RSA key", id="another kind of key"),
    pytest.param({"exception": TimeoutError()}, "SNS did not answer within 5 s", id="timeout"),
    pytest.param({"exception": OSError("no route")}, "SNS cannot be reached: no route", id="unreachable"),
]


@pytest.mark.parametrize(("answer", "error"), BAD_ANSWERS)
async def test_a_certificate_that_cannot_be_had_is_left_alone_for_a_while_and_tried_again(
    door, amazon, answers, logs, seconds, answer, error
):
    other_url = certificate_url("other")
    answers.get(CERTIFICATE_URL, **answer)
    answers.get(CERTIFICATE_URL, body=amazon.certificate)
    answers.get(other_url, body=amazon.certificate)

    def ask(url=CERTIFICATE_URL):
        with pytest.raises(CertificateMissing):
            door.check(amazon.notification() | {"SigningCertURL": url})

    async with running(door):
        ask()
        await until(was_logged(logs, "sns.certificate_failed"))
        ask()
        ask(other_url)
        await until(was_logged(logs, "sns.certificate_fetched"))
        assert requests(answers) == once(CERTIFICATE_URL, other_url)
        seconds[0] += sns.LEFT_ALONE_FOR_S
        await until(lambda: is_let_in(door, amazon.notification()))

    assert logs[0]["error"] == error
    assert requests(answers) == once(other_url) | {normalize_url(CERTIFICATE_URL): 2}


def ask_for_many(door, amazon, *, number, start=0):
    """Messages that nobody signed, each with another certificate."""
    for name in range(start, start + number):
        forged = amazon.notification() | {"Signature": "AAAA", "SigningCertURL": certificate_url(name)}
        with suppress(CertificateMissing, Untrusted):
            door.check(forged)


async def test_whoever_names_many_certificates_has_few_of_them_asked_for(door, amazon, answers, logs, seconds):
    answers.get(re.compile(r".*"), status=404, repeat=True)

    async with running(door):
        for turn in range(3):
            for start in (0, 100):
                ask_for_many(door, amazon, number=100, start=start)
                await until(lambda: nothing_is_asked_for(door))
            assert sum(requests(answers).values()) == sns.ASKED_MAX * (turn + 1)
            seconds[0] += sns.LEFT_ALONE_FOR_S
        seconds[0] += 60
        ask_for_many(door, amazon, number=1)
        await until(lambda: len([line for line in logs if line["event"] == "sns.certificate_failed"]) == 2)

    told = [line["requests"] for line in logs if line["event"] == "sns.certificate_failed"]
    assert told == [1, 3 * sns.ASKED_MAX]
    assert len(door._asked_until_s) <= sns.ASKED_MAX


async def test_a_host_that_is_asked_for_many_keeps_no_other_waiting(session, amazon, answers, logs, seconds):
    other_topic = TOPIC.replace("eu-west-1", "us-east-1")
    other_url = CERTIFICATE_URL.replace("eu-west-1", "us-east-1")
    door = SnsDoor(CloudWatchConfig(topics=(TOPIC, other_topic)), session, now_s=lambda: seconds[0])
    answers.get(other_url, body=amazon.certificate)
    answers.get(re.compile(r".*"), status=404, repeat=True)
    envelope = amazon.notification(topic=other_topic) | {"SigningCertURL": other_url}

    ask_for_many(door, amazon, number=100)
    async with running(door):
        await until(lambda: is_let_in(door, envelope))


async def test_a_certificate_that_a_message_was_let_in_by_is_kept_whatever_others_are_asked_for(
    open_door, amazon, answers, seconds
):
    answers.get(re.compile(r".*"), body=amazon.certificate, repeat=True)
    open_door.check(amazon.notification())

    for turn in range(4):
        seconds[0] += sns.LEFT_ALONE_FOR_S
        ask_for_many(open_door, amazon, number=sns.ASKED_MAX, start=sns.ASKED_MAX * turn)
        await until(lambda: nothing_is_asked_for(open_door))

    assert len(open_door._fetched) == sns.CERTIFICATES_MAX
    open_door.check(amazon.notification())


async def test_a_subscription_is_confirmed_once_however_often_it_is_asked_for(open_door, amazon, answers, logs):
    other_url = f"{SUBSCRIBE_URL}0"
    answers.get(SUBSCRIBE_URL, body="<ConfirmSubscriptionResponse/>", repeat=True)
    answers.get(other_url)

    for _ in range(3):
        open_door.check(amazon.subscription())
        await until(was_logged(logs, "sns.confirmed"))
    open_door.check(amazon.subscription(url=other_url))
    await until(lambda: normalize_url(other_url) in requests(answers))

    assert requests(answers) == once(CERTIFICATE_URL, SUBSCRIBE_URL, other_url)
    assert {"event": "sns.confirmed", "topic": TOPIC, "log_level": "info"} in logs


async def test_the_end_of_a_subscription_confirms_nothing(open_door, amazon, answers, logs):
    answers.get(SUBSCRIBE_URL)
    ending = amazon.subscription(kind="UnsubscribeConfirmation", url=f"{SUBSCRIBE_URL}0")

    open_door.check(ending)
    open_door.check(amazon.subscription())
    await until(was_logged(logs, "sns.confirmed"))

    assert requests(answers) == once(CERTIFICATE_URL, SUBSCRIBE_URL)


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("https://evil.example/?Action=ConfirmSubscription", "SubscribeURL is refused"),
        (SUBSCRIBE_URL.replace("https", "http"), "SubscribeURL is refused"),
        (f"{SUBSCRIBE_URL}#x", "SubscribeURL is refused"),
        (SUBSCRIBE_URL.replace("//sns.eu-west-1", "//sns.us-east-1"), "SubscribeURL is in region 'us-east-1'"),
    ],
)
async def test_a_subscription_elsewhere_is_refused_even_when_it_is_signed(open_door, amazon, answers, url, rule):
    with pytest.raises(Untrusted, match=rule):
        open_door.check(amazon.subscription(url=url))

    assert requests(answers) == once(CERTIFICATE_URL)


async def test_a_confirmation_is_tried_again(open_door, amazon, answers, logs):
    answers.get(SUBSCRIBE_URL, status=500)
    answers.get(SUBSCRIBE_URL, exception=TimeoutError())
    answers.get(SUBSCRIBE_URL, status=200)

    open_door.check(amazon.subscription())
    await until(was_logged(logs, "sns.confirmed"))

    retries = [line["error"] for line in logs if line["event"] == "sns.confirm_retry"]
    assert retries == ["SNS answered 500", "SNS did not answer within 5 s"]


async def test_a_confirmation_that_never_succeeds_is_for_a_person_and_may_be_asked_for_again(
    open_door, amazon, answers, logs
):
    for _ in range(4):
        answers.get(SUBSCRIBE_URL, status=302, headers={"Location": "https://evil.example/"})
    answers.get(SUBSCRIBE_URL, status=200)

    open_door.check(amazon.subscription())
    await until(was_logged(logs, "sns.not_confirmed"))
    told = logs.expect_error("sns.not_confirmed")
    open_door.check(amazon.subscription())
    await until(was_logged(logs, "sns.confirmed"))

    assert (told["topic"], told["error"]) == (TOPIC, "SNS answered 302")
    assert "request the confirmation of this subscription again" in told["hint"]
    assert "2336412f37" not in str(told)
    assert requests(answers) == once(CERTIFICATE_URL) | {normalize_url(SUBSCRIBE_URL): 5}


async def test_subscriptions_that_wait_are_bounded_and_the_rest_is_for_a_person(door, amazon, logs):
    with canned_answers() as answers:
        answers.get(CERTIFICATE_URL, body=amazon.certificate)
        async with running(door):
            with pytest.raises(CertificateMissing):
                door.check(amazon.notification())
            await until(was_logged(logs, "sns.certificate_fetched"))

    for number in range(sns.QUEUE_MAX + 1):
        door.check(amazon.subscription(url=f"{SUBSCRIBE_URL}{number}"))

    assert logs.expect_error("sns.not_confirmed")["error"] == "too many subscriptions wait to be confirmed"


async def test_the_work_ends_promptly_in_the_middle_of_a_request(door, amazon, answers):
    started = asyncio.Event()

    async def hang(url, **kwargs):
        started.set()
        await asyncio.Event().wait()

    answers.get(CERTIFICATE_URL, callback=hang)

    async with asyncio.timeout(DEADLINE_S), running(door):
        with pytest.raises(CertificateMissing):
            door.check(amazon.notification())
        await started.wait()


@given(data=st.data())
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_garbage_in_any_field_is_let_in_or_refused_and_nothing_else(session, amazon, data):
    envelope = data.draw(st.sampled_from([amazon.notification(), amazon.subscription()]).flatmap(damaged))
    door = SnsDoor(CloudWatchConfig(topics=(TOPIC,)), session)
    door._fetched[CERTIFICATE_URL] = sns._key_of(amazon.certificate)

    with suppress(Untrusted, CertificateMissing):
        door.check(envelope)
