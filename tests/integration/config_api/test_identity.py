"""Who is let in and who is not: guessing, known devices, a new password and what it ends, idle sessions."""

import asyncio
import re
from datetime import timedelta

import httpx
import pytest

from config_api.domain.errors import ConflictError, InvalidError, SignInError, ThrottledError
from config_api.domain.identity import FAILURES_HERE, FAILURES_PER_ACCOUNT, FAILURES_PER_ADDRESS
from config_api.domain.rights import Role
from config_api.use_cases.identity import COMMAND
from support.config_api_kit import ADMIN, PASSWORD, Kit

pytestmark = pytest.mark.integration
HOME, STRANGER = "192.0.2.1", "198.51.100.66"
NEW = "harbour violin seventeen clouds"


async def wrong(kit: Kit, address: str, device: str = "", email: str = ADMIN) -> type[Exception]:
    with pytest.raises((SignInError, ThrottledError)) as refused:
        await kit.parts.identity.sign_in(email, "not the password", address, device)
    return refused.type


async def test_a_stranger_who_guesses_keeps_out_only_the_stranger(kit: Kit) -> None:
    await kit.account(Role.ADMIN, ADMIN)
    for _ in range(FAILURES_HERE):
        assert SignInError is await wrong(kit, STRANGER)
    assert ThrottledError is await wrong(kit, STRANGER)
    with pytest.raises(ThrottledError):
        await kit.parts.identity.sign_in(ADMIN, PASSWORD, STRANGER)
    assert (await kit.parts.identity.sign_in(ADMIN, PASSWORD, HOME)).token
    assert ThrottledError is await wrong(kit, STRANGER), (
        "the owner's sign-in gives the stranger no more tries"
    )


async def test_from_many_addresses_a_known_device_is_let_in_all_the_same(kit: Kit) -> None:
    await kit.account(Role.ADMIN, ADMIN)
    device = (await kit.parts.identity.sign_in(ADMIN, PASSWORD, HOME)).device
    for number in range(FAILURES_PER_ACCOUNT):
        assert SignInError is await wrong(kit, f"198.51.{number // 5}.{number % 5 + 1}")
    assert ThrottledError is await wrong(kit, "203.0.113.1")
    with pytest.raises(ThrottledError):
        await kit.parts.identity.sign_in(ADMIN, PASSWORD, HOME)
    assert device == (await kit.parts.identity.sign_in(ADMIN, PASSWORD, HOME, device)).device

    await kit.account(Role.DEVELOPER, "dev@example.com")
    foreign = (await kit.parts.identity.sign_in("dev@example.com", PASSWORD, HOME)).device
    with pytest.raises(ThrottledError):
        await kit.parts.identity.sign_in(ADMIN, PASSWORD, HOME, foreign)

    for _ in range(FAILURES_HERE):
        assert SignInError is await wrong(kit, HOME, device)
    assert ThrottledError is await wrong(kit, HOME, device), "a stolen device guesses no faster"


async def test_one_address_that_tries_many_accounts_has_to_wait(kit: Kit) -> None:
    for number in range(FAILURES_PER_ADDRESS):
        assert SignInError is await wrong(kit, STRANGER, email=f"p{number}@example.com")
    assert ThrottledError is await wrong(kit, STRANGER, email="another@example.com")


async def test_many_guesses_at_once_are_as_few_as_one_after_another(kit: Kit) -> None:
    await kit.account(Role.ADMIN, ADMIN)
    kinds = await asyncio.gather(*(wrong(kit, STRANGER) for _ in range(4 * FAILURES_HERE)))
    assert kinds.count(SignInError) <= FAILURES_HERE


async def test_a_new_password_ends_sessions_keys_and_known_devices(kit: Kit) -> None:
    key = await kit.key(Role.DEVELOPER, "dev@example.com")
    signed = await kit.parts.identity.sign_in("dev@example.com", PASSWORD, HOME)
    assert (await kit.parts.identity.bearer(key)).name == "dev@example.com"
    account_id = signed.session.account_id
    kit.clock.advance(timedelta(minutes=1))
    await kit.parts.identity.change_account(account_id, COMMAND, password=NEW)
    with pytest.raises(SignInError):
        await kit.parts.identity.bearer(key)
    assert await kit.parts.identity.session(signed.token) is None
    assert [True] == [each.revoked for each in await kit.parts.identity.keys(COMMAND)]
    devices = kit.store.collection("config_known_devices")
    assert 0 == await devices.count_documents({"account_id": account_id})


async def test_a_key_that_was_not_marked_in_time_is_refused_by_its_age(kit: Kit) -> None:
    key = await kit.key(Role.DEVELOPER, "dev@example.com")
    account = await kit.parts.identity.bearer(key)
    kit.clock.advance(timedelta(minutes=1))
    await kit.parts.identity.change_account(account.account_id, COMMAND, password=NEW)
    # As if the service had died before it marked the key.
    await kit.store.collection("config_api_keys").update_many({}, {"$set": {"revoked": False}})
    with pytest.raises(SignInError):
        await kit.parts.identity.bearer(key)


async def test_people_change_their_own_password_over_rest_and_in_the_console(kit: Kit) -> None:
    await kit.account(Role.READER, "ann@example.com")
    async with kit.client() as client:
        csrf = await browser(client, "ann@example.com", PASSWORD)
        body = {"current_password": "not the password", "new_password": NEW}
        path, headers = "/api/v1/me/password", {"X-CSRF-Token": csrf}
        refused = await client.post(path, json=body, headers=headers)
        assert (422, "current_password") == (refused.status_code, refused.json()["problems"][0]["field"])
        weak = {"current_password": PASSWORD, "new_password": "password1234"}
        refused = await client.post(path, json=weak, headers=headers)
        assert (422, "new_password") == (refused.status_code, refused.json()["problems"][0]["field"])
        good = {"current_password": PASSWORD, "new_password": NEW}
        assert 403 == (await client.post(path, json=good)).status_code, "without the session's token"
        assert 204 == (await client.post(path, json=good, headers=headers)).status_code
        assert 401 == (await client.get("/api/v1/me")).status_code

        csrf = await browser(client, "ann@example.com", NEW)
        page = (await client.get("/password")).text
        assert 'action="/password"' in page
        form = {"csrf": csrf, "current": NEW, "new": PASSWORD, "again": "something else entirely"}
        assert "is not the same both times" in (await client.post("/password", data=form)).text
        changed = await client.post("/password", data={**form, "again": PASSWORD}, follow_redirects=True)
        assert "has been changed" in changed.text
        await browser(client, "ann@example.com", PASSWORD)


async def test_a_key_changes_no_password_and_guessing_the_current_one_ends(kit: Kit) -> None:
    actor = await kit.account(Role.DEVELOPER, "dev@example.com")
    key = await kit.parts.identity.create_key("k", Role.DEVELOPER, 1, actor)
    with pytest.raises(ConflictError):
        await kit.parts.identity.change_password(PASSWORD, NEW, await kit.parts.identity.bearer(key[1]))
    for _ in range(FAILURES_HERE):
        with pytest.raises(InvalidError):
            await kit.parts.identity.change_password("not the password", NEW, actor)
    with pytest.raises(ThrottledError):
        await kit.parts.identity.change_password(PASSWORD, NEW, actor)


async def test_a_session_that_is_not_used_ends_and_one_that_is_goes_on(kit: Kit) -> None:
    await kit.account(Role.ADMIN, ADMIN)
    token = (await kit.parts.identity.sign_in(ADMIN, PASSWORD, HOME)).token
    for _ in range(4):
        kit.clock.advance(timedelta(minutes=kit.settings.session_idle_minutes - 1))
        assert await kit.parts.identity.session(token) is not None
    kit.clock.advance(timedelta(minutes=kit.settings.session_idle_minutes + 1))
    assert await kit.parts.identity.session(token) is None


async def browser(client: httpx.AsyncClient, email: str, password: str) -> str:
    """Sign in, and return the token that the session's forms carry."""
    nonce = re.search(r'name="nonce" value="([^"]+)"', (await client.get("/sign-in")).text)
    assert nonce is not None
    sent = await client.post("/sign-in", data={"email": email, "password": password, "nonce": nonce[1]})
    assert 303 == sent.status_code, sent.text
    found = re.search(r'name="csrf" value="([^"]+)"', (await client.get("/hub")).text)
    assert found is not None
    return found[1]
