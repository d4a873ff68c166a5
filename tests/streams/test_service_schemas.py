"""The service file's schema registry: keys, variables, mistakes, and who needs it."""

from pathlib import Path

import pytest

from streams.errors import LifecycleError, UsageError
from streams.registration import check_formats
from streams.service import load_service
from tests.builders import lifecycle


def written(folder: Path, text: str) -> Path:
    path = folder / "leeway.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_registry_is_an_address_with_name_password_and_certificates(tmp_path: Path) -> None:
    text = (
        "schema_registry: {url: 'https://schemas.example', username: leeway, "
        "password: {env: SCHEMAS}, ca: ca.pem}"
    )
    registry = load_service(written(tmp_path, text), {}).schema_registry
    assert registry.settings({"SCHEMAS": "hunter2"}) == {
        "url": "https://schemas.example",
        "basic.auth.user.info": "leeway:hunter2",
        "ssl.ca.location": "ca.pem",
    }
    assert "hunter2" not in repr(registry)
    with pytest.raises(UsageError, match="SCHEMAS"):
        registry.settings({})


def test_variables_say_the_same(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("hunter2\n")
    environment = {
        "LEEWAY_SCHEMA_REGISTRY_URL": "http://127.0.0.1:8081",
        "LEEWAY_SCHEMA_REGISTRY_USERNAME": "leeway",
        "LEEWAY_SCHEMA_REGISTRY_PASSWORD_FILE": str(secret),
    }
    assert load_service(None, environment).schema_registry.settings({}) == {
        "url": "http://127.0.0.1:8081",
        "basic.auth.user.info": "leeway:hunter2",
    }
    del environment["LEEWAY_SCHEMA_REGISTRY_PASSWORD_FILE"]
    environment["LEEWAY_SCHEMA_REGISTRY_PASSWORD"] = "hunter2"
    found = load_service(None, environment).schema_registry.settings(environment)
    assert found["basic.auth.user.info"] == "leeway:hunter2"


def test_without_a_registry_there_are_no_settings() -> None:
    assert load_service(None, {}).schema_registry.settings({}) == {}


MISTAKES = (
    ("{url: schemas.example}", "url: is not an address: expected https://…"),
    (
        "{url: 'https://me:hunter2@a.example'}",
        "url: has credentials in it: expected username and password beside it",
    ),
    (
        "{url: 'https://a.example', password: hunter2}",
        "password: a secret in plain text: expected {env: NAME} or {file: PATH}",
    ),
    (
        "{url: 'https://a.example', username: me}",
        "password: is missing: expected both or no username",
    ),
    (
        "{url: 'https://a.example', password: {env: P}}",
        "username: is missing: expected both or no password",
    ),
    (
        "{url: 'http://a.example', username: me, password: {env: P}}",
        "url: would take the password unencrypted: expected https://…",
    ),
    ("{username: me, password: {env: P}}", "url: is missing: expected the registry's address"),
    (
        "{usernam: me}",
        'usernam: is not a key of schema_registry: expected a known key; did you mean "username"?',
    ),
)


@pytest.mark.parametrize(("section", "line"), MISTAKES)
def test_a_mistake_is_one_line(tmp_path: Path, section: str, line: str) -> None:
    with pytest.raises(LifecycleError) as error:
        load_service(written(tmp_path, f"schema_registry: {section}"), {})
    (found,) = error.value.mistakes
    assert found.split(": ", 1)[1] == f"schema_registry.{line}"
    assert "hunter2" not in found


def test_a_wrong_variable_is_named() -> None:
    with pytest.raises(UsageError, match=r"usernam is not a key of schema_registry.*did you mean"):
        load_service(None, {"LEEWAY_SCHEMA_REGISTRY_USERNAM": "https://a.example"})


@pytest.mark.parametrize("form", ["avro", "json-schema"])
def test_a_lifecycle_that_needs_a_registry_does_not_run_without(form: str) -> None:
    of = lifecycle(source={"predictions": {"format": form}})
    with pytest.raises(UsageError, match=rf"m: source\.predictions\.format is {form}.*URL"):
        check_formats(load_service(None, {}), [of])
    named = load_service(None, {"LEEWAY_SCHEMA_REGISTRY_URL": "https://a.example"})
    check_formats(named, [of])
    check_formats(load_service(None, {}), [lifecycle()])
