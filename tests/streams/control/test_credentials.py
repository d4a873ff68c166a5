"""librdkafka's properties as Faust's credentials: all that is about security is mapped or refused."""

import ssl
from pathlib import Path

import pytest
from faust.auth import SASLCredentials, SSLCredentials

from streams.control.credentials import broker_credentials
from streams.errors import UsageError

LOGIN = {"sasl.username": "leeway", "sasl.password": "not to be told"}


def test_a_plain_connection_has_no_credentials() -> None:
    assert broker_credentials({"bootstrap.servers": "kafka:9092", "fetch.wait.max.ms": 50}) is None
    assert broker_credentials({"security.protocol": "PLAINTEXT"}) is None


def test_tls_verifies_names_and_certificates_unless_told_otherwise() -> None:
    found = broker_credentials({"security.protocol": "ssl"})
    assert isinstance(found, SSLCredentials)
    assert found.context.verify_mode is ssl.CERT_REQUIRED
    assert found.context.check_hostname
    names = broker_credentials(
        {"security.protocol": "ssl", "ssl.endpoint.identification.algorithm": "none"}
    )
    assert isinstance(names, SSLCredentials)
    assert not names.context.check_hostname
    assert names.context.verify_mode is ssl.CERT_REQUIRED
    nothing = broker_credentials(
        {"security.protocol": "SSL", "enable.ssl.certificate.verification": "false"}
    )
    assert isinstance(nothing, SSLCredentials)
    assert nothing.context.verify_mode is ssl.CERT_NONE


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "scram-sha-512"])
@pytest.mark.parametrize("protocol", ["sasl_ssl", "SASL_PLAINTEXT"])
def test_a_login_is_passed_on_with_its_mechanism(protocol: str, mechanism: str) -> None:
    found = broker_credentials(
        {"security.protocol": protocol, "sasl.mechanism": mechanism, **LOGIN}
    )
    assert isinstance(found, SASLCredentials)
    assert (found.username, found.password) == ("leeway", "not to be told")
    assert found.mechanism.value == mechanism.upper()
    assert found.protocol.value == protocol.upper()
    assert (found.ssl_context is not None) == (protocol == "sasl_ssl")


@pytest.mark.parametrize(
    ("kafka", "expected"),
    [
        ({"security.protocol": "tls"}, "kafka.security.protocol: is not a known protocol"),
        ({"sasl.oauthbearer.config": "x"}, "kafka.sasl.oauthbearer.config: is not supported"),
        ({"ssl.keystore.location": "x"}, "kafka.ssl.keystore.location: is not supported"),
        (
            {"security.protocol": "sasl_ssl", "sasl.mechanism": "GSSAPI", **LOGIN},
            "kafka.sasl.mechanism: is not supported",
        ),
        (
            {"security.protocol": "sasl_ssl", "sasl.username": "leeway"},
            "kafka.sasl.password: is missing",
        ),
        (
            {"security.protocol": "ssl", "ssl.ca.location": "/no/such/file"},
            "cannot be read: No such file",
        ),
        ({"security.protocol": "ssl", "ssl.ca.pem": "rubbish"}, "cannot be read"),
        (
            {"security.protocol": "ssl", "enable.ssl.certificate.verification": "maybe"},
            "expected true or false",
        ),
        (
            {"security.protocol": "ssl", "ssl.endpoint.identification.algorithm": "dns"},
            "expected https or none",
        ),
    ],
)
def test_what_cannot_be_mapped_is_refused_without_its_value(
    kafka: dict[str, str], expected: str
) -> None:
    with pytest.raises(UsageError) as found:
        broker_credentials(kafka)
    assert expected in str(found.value)
    assert "not to be told" not in str(found.value)


def test_a_key_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_text("rubbish")
    with pytest.raises(UsageError, match="cannot be read"):
        broker_credentials(
            {"security.protocol": "ssl", "ssl.certificate.location": str(tmp_path / "a.pem")}
        )
