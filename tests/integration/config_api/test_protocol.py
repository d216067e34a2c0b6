"""HTTP as it is meant: media types, methods, conditions, bodies that no call can use."""

import json
from typing import Any

import httpx
import pytest

from config_api.domain.storable import DEEPEST
from support.config_api_kit import CONNECTION, RECIPIENT, Kit, configure

pytestmark = pytest.mark.integration

JSON = {"content-type": "application/json"}


def _refused(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["detail"]
    assert body["remedy"]
    for problem in body.get("problems", ()):
        assert problem["message"]
        assert problem["remedy"]
    return body


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b'{"name": "a", "name": "b"}', 422, ""),
        (b'{"name": "a", "attributes": {"x": "1", "x": "2"}}', 422, "attributes"),
        (b'{"name": "a", "attributes": {"x": NaN}}', 422, "attributes.x"),
        (b'{"name": "a", "attributes": {"x": -Infinity}}', 422, "attributes.x"),
        (b'{"name": ' + b"9" * 5000 + b"}", 400, None),
        ('{"name": "a"}'.encode("utf-16"), 400, None),
        (b'{"name": "\xe9"}', 400, None),
        (b'{"name": "a",}', 400, None),
        (b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1), 422, None),
        (b"[" * 100_000, 400, None),
        (b'{"name": "a\\u0000b"}', 422, "name"),
        (b'{"id": null, "name": null}', 422, "name"),
    ],
)
async def test_bodies_no_call_can_use_are_refused_with_the_place(
    admin: httpx.AsyncClient, body: bytes, status: int, field: str | None
) -> None:
    answer = _refused(await admin.post("/api/v1/recipients", content=body, headers=JSON), status)
    if field is not None:
        assert field in [problem["field"] for problem in answer["problems"]]


@pytest.mark.parametrize("name", ["$set", "a.b", "$where.x", ".", "$"])
async def test_names_that_mean_something_to_mongodb_are_kept_as_they_are(
    admin: httpx.AsyncClient, name: str
) -> None:
    made = await admin.post("/api/v1/recipients", json={**RECIPIENT, "attributes": {name: "x"}})
    assert made.status_code == 201, made.text
    changed = await admin.put(
        "/api/v1/recipients/ann",
        json={**RECIPIENT, "attributes": {name: "y"}},
        headers={"If-Match": made.headers["etag"]},
    )
    assert changed.status_code == 200, changed.text
    assert {name: "y"} == (await admin.get("/api/v1/recipients/ann")).json()["attributes"]


async def test_a_body_as_deep_as_allowed_is_stored_and_a_deeper_one_is_not(admin: httpx.AsyncClient) -> None:
    def nested(levels: int) -> dict[str, Any]:
        deep: Any = 1
        for _ in range(levels):
            deep = {"a": deep}
        return {"name": "x", "attributes": deep}

    assert _refused(await admin.post("/api/v1/recipients", json=nested(DEEPEST)), 422)["problems"]
    # As deep as is allowed it reaches the model, which knows what attributes are.
    allowed = await admin.post("/api/v1/recipients", json=nested(DEEPEST - 1))
    assert "nested deeper" not in allowed.text


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json; charset=iso-8859-1"},
        {"content-type": "application/json", "content-encoding": "gzip"},
        {"content-type": ""},
        {},
    ],
)
async def test_other_media_types_and_encodings_are_415(
    admin: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    body = json.dumps(RECIPIENT).encode()
    _refused(await admin.post("/api/v1/recipients", content=body, headers=headers), 415)
    _refused(await admin.post("/api/v1/templates", content=body, headers=headers), 415)


async def test_who_takes_no_json_is_told_so(admin: httpx.AsyncClient) -> None:
    for accept in ("text/html", "application/xml, image/*", "application/json;q=0"):
        _refused(await admin.get("/api/v1/me", headers={"Accept": accept}), 406)
    for accept in ("*/*", "application/*", "text/html, application/json;q=0.5", "application/problem+json"):
        assert 200 == (await admin.get("/api/v1/me", headers={"Accept": accept})).status_code, accept


async def test_405_lists_every_method_of_the_address_and_options_answers_it(admin: httpx.AsyncClient) -> None:
    refused = await admin.patch("/api/v1/tasks/x")
    _refused(refused, 405)
    assert {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"} == set(refused.headers["allow"].split(", "))
    asked = await admin.options("/api/v1/tasks")
    assert 204 == asked.status_code
    assert {"GET", "HEAD", "POST", "OPTIONS"} == set(asked.headers["allow"].split(", "))
    _refused(await admin.options("/api/v1/nothing"), 404)
    _refused(await admin.get("/api/v1/nothing"), 404)


async def test_head_answers_as_get_without_a_body(admin: httpx.AsyncClient) -> None:
    await configure(admin)
    for path in (
        "/api/v1/tasks",
        "/api/v1/tasks/daily-delays",
        "/api/v1/templates/delays-page/file",
        "/sign-in",
    ):
        get, head = await admin.get(path), await admin.head(path)
        assert get.status_code == head.status_code == 200
        assert b"" == head.content
        assert get.headers["content-type"] == head.headers["content-type"]
    assert 404 == (await admin.head("/api/v1/tasks/none")).status_code


async def test_conditions_hold_for_every_kind_in_the_same_way(admin: httpx.AsyncClient) -> None:
    await configure(admin)
    objects = {
        "connections": "qlik",
        "recipients": "ann",
        "templates": "delays-page",
        "tasks": "daily-delays",
    }
    for path, key in objects.items():
        url = f"/api/v1/{path}/{key}"
        read = await admin.get(url)
        body, etag = read.json(), read.headers["etag"]
        unchanged = await admin.get(url, headers={"If-None-Match": f'"0", {etag}'})
        assert (304, b"") == (unchanged.status_code, unchanged.content)
        assert 200 == (await admin.get(url, headers={"If-None-Match": '"0"'})).status_code
        _refused(await admin.put(url, json=body), 428)
        for odd in ("x", "", '"1", "2"', '"' + "9" * 40 + '"', "-1"):
            _refused(await admin.put(url, json=body, headers={"If-Match": odd}), 422)
            _refused(await admin.delete(url, headers={"If-Match": odd}), 422)
        _refused(await admin.put(url, json=body, headers={"If-Match": '"7"'}), 412)
        assert 200 == (await admin.put(url, json=body, headers={"If-Match": etag})).status_code
        assert 200 == (await admin.put(url, json=body, headers={"If-Match": " * "})).status_code
    file = {"file": ("delays.html", b"<p>{{ total }}</p>", "text/html")}
    url = "/api/v1/templates/delays-page/file"
    _refused(await admin.put(url, files=file), 428)
    _refused(await admin.put(url, files=file, headers={"If-Match": '"1"'}), 412)
    assert 200 == (await admin.put(url, files=file, headers={"If-Match": "*"})).status_code


async def test_numbers_no_store_keeps_are_422(admin: httpx.AsyncClient) -> None:
    huge = "23966339076701685772846104576"
    for path in (
        f"executions/x/units?skip={huge}",
        f"executions/x/deliveries?limit={huge}",
        f"audit?after={huge}",
        f"audit/verify?expect={huge}:{'0' * 64}",
        f"executions?after={huge}.x",
        f"executions?limit={huge}",
        f"connections/x/apps?limit={huge}",
        f"tasks?limit={huge}",
    ):
        (problem,) = _refused(await admin.get(f"/api/v1/{path}"), 422)["problems"]
        assert problem["field"] in path


async def test_a_parameter_given_twice_is_refused(admin: httpx.AsyncClient) -> None:
    (problem,) = _refused(await admin.get("/api/v1/tasks?limit=1&limit=2"), 422)["problems"]
    assert ("limit", "Give it once.") == (problem["field"], problem["remedy"])


async def test_unknown_fields_are_refused_in_every_body(admin: httpx.AsyncClient) -> None:
    await configure(admin)
    bodies = {
        "tasks:disable": {"ids": ["x"], "more": 1},
        "reports/delays/preview": {"format": "html", "options": {"decimals": ","}},
        "accounts": {"email": "a@example.com", "password": "x" * 20, "more": 1},
        "connections": {**CONNECTION, "id": "q2", "more": 1},
    }
    for path, body in bodies.items():
        _refused(await admin.post(f"/api/v1/{path}", json=body), 422)


async def test_a_body_without_a_length_that_goes_on_for_too_long_is_413(
    kit: Kit, admin: httpx.AsyncClient
) -> None:
    async def endless(head: bytes = b"") -> Any:
        yield head
        for _ in range(40):
            yield b" " * 100_000

    _refused(await admin.post("/api/v1/recipients", content=endless(), headers=JSON), 413)
    form = {"content-type": "multipart/form-data; boundary=x"}
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.html"\r\n\r\n'
    _refused(await admin.post("/api/v1/templates", content=endless(head), headers=form), 413)


async def test_text_where_a_file_belongs_is_refused_in_words(admin: httpx.AsyncClient) -> None:
    answer = await admin.post("/api/v1/templates", files={"file": (None, b"text"), "name": (None, b"T")})
    (problem,) = _refused(answer, 422)["problems"]
    assert ("file", "This is not a file.") == (problem["field"], problem["message"])
