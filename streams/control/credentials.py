"""How does Faust prove who it is? Maps the librdkafka properties of the service file to Faust's credentials.

A user configures one client, librdkafka, by its own property names; control's client is aiokafka. Mapped are

- ``security.protocol``: plaintext, ssl, sasl_plaintext, sasl_ssl
- ``sasl.mechanism`` (or ``sasl.mechanisms``): PLAIN, SCRAM-SHA-256, SCRAM-SHA-512
- ``sasl.username``, ``sasl.password``
- ``ssl.ca.location``, ``ssl.ca.pem`` (default: the system's)
- ``ssl.certificate.location`` with ``ssl.key.location`` and ``ssl.key.password``
- ``ssl.endpoint.identification.algorithm``: https, none
- ``enable.ssl.certificate.verification``: true, false

Any other property about security is refused, for a connection must not be less safe, or fail later, than what was asked
for. All further properties tune librdkafka and mean nothing to aiokafka.
"""

import ssl
from collections.abc import Mapping

from faust.auth import Credentials, SASLCredentials, SSLCredentials
from faust.types.auth import AuthProtocol

from streams.errors import UsageError

PROTOCOLS = ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_MAPPED = frozenset(
    (
        "security.protocol",
        "sasl.mechanism",
        "sasl.mechanisms",
        "sasl.username",
        "sasl.password",
        "ssl.ca.location",
        "ssl.ca.pem",
        "ssl.certificate.location",
        "ssl.key.location",
        "ssl.key.password",
        "ssl.endpoint.identification.algorithm",
        "enable.ssl.certificate.verification",
    )
)
_SECURITY = ("security.", "sasl.", "ssl.", "enable.ssl.", "enable.sasl.", "https.", "oauthbearer_")


def broker_credentials(kafka: Mapping[str, object]) -> Credentials | None:
    """Faust's credentials for librdkafka's properties; None where the connection is plain.

    Raises
    ------
    UsageError
        A property about security cannot be mapped, or its value is not one of those above. Values are never quoted.

    Examples
    --------
    >>> broker_credentials({"queued.min.messages": 1000}) is None
    True
    >>> broker_credentials({"sasl.kerberos.principal": "leeway"})
    Traceback (most recent call last):
    ...
    streams.errors.UsageError: kafka.sasl.kerberos.principal: is not supported by the control role: expected ...
    """
    for name in kafka:
        if name.startswith(_SECURITY) and name not in _MAPPED:
            raise UsageError(
                f"kafka.{name}: is not supported by the control role: expected one of {', '.join(sorted(_MAPPED))}"
            )
    protocol = str(kafka.get("security.protocol", "plaintext")).lower()
    if protocol not in PROTOCOLS:
        raise UsageError(
            f"kafka.security.protocol: is not a known protocol: expected {', '.join(PROTOCOLS)}"
        )
    context = _context(kafka) if protocol.endswith("ssl") else None
    if not protocol.startswith("sasl"):
        return None if context is None else SSLCredentials(context)
    mechanism = str(kafka.get("sasl.mechanism", kafka.get("sasl.mechanisms", "PLAIN"))).upper()
    if mechanism not in MECHANISMS:
        raise UsageError(
            f"kafka.sasl.mechanism: is not supported by the control role: expected {', '.join(MECHANISMS)}"
        )
    for name in ("sasl.username", "sasl.password"):
        if not kafka.get(name):
            raise UsageError(f"kafka.{name}: is missing: {protocol} needs it")
    found = SASLCredentials(
        username=str(kafka["sasl.username"]),
        password=str(kafka["sasl.password"]),
        ssl_context=context,
        mechanism=mechanism,
    )
    found.protocol = AuthProtocol.SASL_PLAINTEXT if context is None else AuthProtocol.SASL_SSL
    return found


def _context(kafka: Mapping[str, object]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(
            cafile=_text(kafka, "ssl.ca.location"), cadata=_text(kafka, "ssl.ca.pem")
        )
        certificate = _text(kafka, "ssl.certificate.location")
        if certificate is not None:
            key, password = _text(kafka, "ssl.key.location"), _text(kafka, "ssl.key.password")
            context.load_cert_chain(certificate, key, password)
    except OSError as error:  # ssl.SSLError is one
        reason = error.strerror or getattr(error, "reason", None) or type(error).__name__
        raise UsageError(f"kafka: a certificate or key of ssl.* cannot be read: {reason}") from None
    verify = str(kafka.get("enable.ssl.certificate.verification", "true")).lower()
    names = str(kafka.get("ssl.endpoint.identification.algorithm", "https")).lower()
    if verify not in ("true", "false"):
        raise UsageError("kafka.enable.ssl.certificate.verification: expected true or false")
    if names not in ("https", "none"):
        raise UsageError("kafka.ssl.endpoint.identification.algorithm: expected https or none")
    if names == "none" or verify == "false":
        context.check_hostname = False
    if verify == "false":
        context.verify_mode = ssl.CERT_NONE
    return context


def _text(kafka: Mapping[str, object], name: str) -> str | None:
    value = kafka.get(name)
    return None if value is None else str(value)
