"""Laws of the shop: what shoppers get when payments or catalog misbehave, in both modes."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest

from chaos_runner.pocket import catalog, gateway, http11, http_client, http_server, rules, shop
from tests.pocket import kit, traffic

pytestmark = pytest.mark.anyio


async def buy(url: str) -> int:
    status, _ = await traffic.ask(url, "POST", "/checkout")
    return status


def test_the_modes_differ_in_numbers_only() -> None:
    fragile, resilient = rules.MODES["fragile"], rules.MODES["resilient"]

    for name in rules.LinkRules.__struct_fields__:
        values = (getattr(fragile.payments, name), getattr(resilient.payments, name))
        assert all(value is None or isinstance(value, int | float) for value in values), name
    for name in shop.SERVICES:
        env = {"CHECKOUT_URL": "http://h:1", "PAYMENTS_URL": "http://h:1", "CATALOG_URL": "http://h:1"}
        built = [shop.build(name, {**env, "MODE": mode}) for mode in rules.MODES]
        assert type(built[0][0]) is type(built[1][0])
        for _, background in built:
            if background is not None:
                background.close()


@pytest.mark.parametrize("mode", rules.MODES)
async def test_in_calm_every_order_is_paid_at_once(mode: str) -> None:
    async with kit.till(mode) as till:
        statuses = await asyncio.gather(*(buy(till.url) for _ in range(8)))

        assert statuses == [200] * 8
        assert till.summary().paid == till.provider.books.charged == 8


async def test_fragile_fails_with_payments_and_resilient_takes_the_order() -> None:
    async with kit.till("fragile") as fragile, kit.till("resilient") as resilient:
        fragile.provider.mood = resilient.provider.mood = "broken"

        assert await buy(fragile.url) == 502
        assert await buy(resilient.url) == 202


async def test_fragile_waits_as_long_as_payments_does() -> None:
    async with kit.till("fragile") as till:
        till.provider.mood = "silent"
        buying = asyncio.create_task(buy(till.url))
        done, _ = await asyncio.wait([buying], timeout=1.0)
        buying.cancel()

        assert not done


async def test_resilient_gives_up_on_silence_after_its_limit() -> None:
    async with kit.till("resilient") as till:
        till.provider.mood = "silent"
        started = time.monotonic()

        assert await buy(till.url) == 202
        assert 0.25 < time.monotonic() - started < 2.0


async def test_the_breaker_opens_spares_payments_and_closes_again() -> None:
    async with kit.till("resilient", breaker_open_for_s=0.5) as till:
        till.provider.mood = "broken"
        while till.taker.payments.state() == "closed":
            await buy(till.url)
        asked = len(till.provider.requests)

        assert await buy(till.url) == 202
        assert len(till.provider.requests) == asked
        till.provider.mood = "well"
        await kit.until(lambda: till.taker.payments.state() == "closed")
        assert await buy(till.url) == 200


@pytest.mark.parametrize("mood", ["broken", "silent", "mute", *kit.ODD])
async def test_every_order_taken_for_later_is_completed_and_charged_once(mood: str) -> None:
    async with kit.till("resilient", timeout_s=0.1, breaker_open_for_s=0.1) as till:
        till.provider.mood = mood
        assert await asyncio.gather(*(buy(till.url) for _ in range(12))) == [202] * 12
        assert till.summary().later == 12
        till.provider.mood = "well"
        await kit.until(lambda: till.summary().waiting == 0)

        assert till.summary().completed_later == 12
        assert till.provider.books.charged == 12


@pytest.mark.parametrize("mood", kit.ODD)
async def test_an_order_is_paid_only_with_its_own_receipt(mood: str) -> None:
    async with kit.till("fragile") as till:
        till.provider.mood = mood

        assert await buy(till.url) == 502
        assert till.summary().paid == 0


async def test_a_full_queue_refuses_instead_of_promising() -> None:
    async with kit.till("resilient") as till:
        till.taker.book._later_max = 2
        till.provider.mood = "broken"

        assert sorted([await buy(till.url) for _ in range(4)]) == [202, 202, 502, 502]
        assert (till.summary().later, till.summary().failed) == (2, 2)


async def test_retries_stay_within_their_budget() -> None:
    never = rules.NEVER
    async with kit.till("resilient", breaker_calls_min=never) as till:
        till.taker.book._later_max = 0
        till.provider.mood = "broken"
        for _ in range(50):
            await buy(till.url)

        assert len(till.provider.requests) == 50 + 5


async def test_the_fragile_pool_is_the_bottleneck() -> None:
    async with kit.till("fragile") as till:
        till.provider.mood = "silent"
        buying = [asyncio.create_task(buy(till.url)) for _ in range(10)]
        await kit.until(lambda: till.taker.payments.pool.waiting == 6 and len(till.provider.requests) == 4)
        await asyncio.sleep(0.1)

        assert (till.taker.payments.pool.waiting, len(till.provider.requests)) == (6, 4)
        for task in buying:
            task.cancel()
        await asyncio.wait(buying)


async def test_a_full_careful_pool_refuses_at_once() -> None:
    async with kit.till("resilient", connections=1, queue_max=1, timeout_s=5.0) as till:
        till.provider.mood = "silent"
        waiting = [asyncio.create_task(buy(till.url)) for _ in range(2)]
        await kit.until(lambda: till.taker.payments.pool.waiting == 1)
        started = time.monotonic()

        assert await buy(till.url) == 202
        assert time.monotonic() - started < 2.0
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)


async def test_one_request_id_goes_from_the_edge_to_the_last_service() -> None:
    async with kit.till("fragile") as till:
        edge = gateway.Gateway(till.url, till.url, rules.MODES["fragile"])
        reply = await edge.as_service().handle(http11.Request("POST", "/checkout", {"x-request-id": "from-outside"}))
        edge.checkouts.pool.close()

        assert reply.headers["x-request-id"] == "from-outside"
        assert [request.headers["x-request-id"] for request in till.provider.requests] == ["from-outside"]


async def test_a_request_id_that_could_forge_a_log_line_is_replaced() -> None:
    service = catalog.catalog()
    reply = await service.handle(http11.Request("GET", "/products", {"x-request-id": 'a" b'}))

    assert reply.headers["x-request-id"].isalnum()


@pytest.mark.parametrize(("mode", "expected"), [("fragile", (502, None)), ("resilient", (200, "last-known"))])
async def test_the_last_known_products_are_shown_where_the_rules_say_so(mode: str, expected: tuple[int, str]) -> None:
    edge = gateway.Gateway("http://127.0.0.1:9", "http://127.0.0.1:9", rules.MODES[mode])
    service = edge.as_service()
    async with kit.listening(catalog.catalog().handle) as url:
        edge.catalog.pool.port = http_client.address_of(url)[1]
        fresh = await service.handle(http11.Request("GET", "/catalog"))
        assert (fresh.status, fresh.headers["x-catalog"]) == (200, "fresh")
    reply = await service.handle(http11.Request("GET", "/catalog"))

    assert (reply.status, reply.headers.get("x-catalog")) == expected
    edge.catalog.pool.close()


async def test_nothing_old_is_shown_where_nothing_was_ever_known() -> None:
    edge = gateway.Gateway("http://127.0.0.1:9", "http://127.0.0.1:9", rules.MODES["resilient"])
    reply = await edge.as_service().handle(http11.Request("GET", "/"))

    assert reply.status == 502


async def test_the_metrics_page_counts_orders_and_requests() -> None:
    async with kit.till("resilient") as till:
        await buy(till.url)
        till.provider.mood = "broken"
        await buy(till.url)
        _, page = await traffic.ask(till.url, "GET", "/metrics")

    lines = page.decode().splitlines()
    assert 'shop_orders_total{outcome="paid"} 1.0' in lines
    assert 'shop_orders_total{outcome="later"} 1.0' in lines
    assert "shop_orders_waiting 1" in lines
    assert 'shop_http_request_seconds_bucket{service="checkout",path="/checkout",le="+Inf"} 2' in lines
    assert 'shop_http_request_seconds_count{service="checkout",path="/checkout"} 2' in lines


async def test_paths_that_do_not_exist_share_one_series() -> None:
    service = catalog.catalog()
    for n in range(50):
        await service.handle(http11.Request("GET", f"/{n}"))
    page = (await service.handle(http11.Request("GET", "/metrics"))).body.decode()

    assert page.count("shop_http_requests_total{") == 1


@pytest.mark.parametrize("body", [b"", b"[]", b'{"order": 1}'])
async def test_payments_refuses_what_is_no_charge(body: bytes) -> None:
    reply = await kit.Provider().handle(http11.Request("POST", "/charge", {}, body))

    assert reply.status == 400


async def test_a_response_that_is_cut_is_a_failure_and_its_connection_is_not_used_again() -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
        writer.close()

    async with await asyncio.start_server(cut, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        pool = http_client.Pool(f"http://127.0.0.1:{port}", connections=1, queue_max=0)
        for _ in range(2):
            with pytest.raises(http_client.CutShort):
                await pool.exchange(http11.Request("GET", "/"))


async def test_the_answer_to_a_call_given_up_is_never_read_as_the_answer_to_the_next() -> None:
    async def slow_then_fast(request: http11.Request) -> http11.Response:
        await asyncio.sleep(float(request.body))
        return http11.Response(200, request.body)

    async with kit.listening(slow_then_fast) as url:
        pool = http_client.Pool(url, connections=1, queue_max=10)
        await pool.exchange(http11.Request("POST", "/", {}, b"0.0"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await pool.exchange(http11.Request("POST", "/", {}, b"0.2"))
        reply = await pool.exchange(http11.Request("POST", "/", {}, b"0.0"))
        pool.close()

        assert reply.body == b"0.0"


async def test_connections_are_kept_alive() -> None:
    async with kit.till("fragile") as till:
        for _ in range(6):
            await buy(till.url)

        assert len(till.taker.payments.pool._idle) == 1


async def test_connections_turn_over() -> None:
    async with kit.listening(catalog.catalog().handle) as url:
        pool = http_client.Pool(url, connections=1, queue_max=0)
        used = set()
        for _ in range(http_client.REQUESTS_PER_CONNECTION + 1):
            await pool.exchange(http11.Request("GET", "/healthz"))
            used.update(pool._idle)
        pool.close()

        assert len(used) == 2


async def test_stopping_finishes_what_is_in_flight_and_takes_nothing_new() -> None:
    async def slow(_: http11.Request) -> http11.Response:
        await asyncio.sleep(0.2)
        return http11.Response(200, b"done")

    server = http_server.HttpServer(slow)
    host, port = await server.start("127.0.0.1", 0)
    pool = http_client.Pool(f"http://{host}:{port}", connections=2, queue_max=0)
    asking = asyncio.create_task(pool.exchange(http11.Request("GET", "/")))
    await kit.until(lambda: any(connection.task for connection in server.connections))
    await server.stop()

    assert (await asking).body == b"done"
    with pytest.raises(ConnectionError):
        await pool.exchange(http11.Request("GET", "/"))


async def test_stopping_waits_only_so_long() -> None:
    async def endless(_: http11.Request) -> http11.Response:
        await asyncio.sleep(60)
        return http11.Response(200)

    server = http_server.HttpServer(endless)
    host, port = await server.start("127.0.0.1", 0)
    pool = http_client.Pool(f"http://{host}:{port}", connections=1, queue_max=0)
    asking = asyncio.create_task(pool.exchange(http11.Request("GET", "/")))
    await kit.until(lambda: any(connection.task for connection in server.connections))
    started = time.monotonic()
    await server.stop(within_s=0.1)

    assert time.monotonic() - started < 2.0
    with pytest.raises(ConnectionError):
        await asking


@pytest.mark.parametrize(
    ("env", "name"),
    [
        ({}, "PAYMENTS_URL"),
        ({"PAYMENTS_URL": "nowhere"}, "PAYMENTS_URL"),
        ({"PAYMENTS_URL": "http://127.0.0.1:1", "MODE": "sturdy"}, "MODE"),
    ],
)
async def test_a_wrong_setting_is_named(env: dict[str, str], name: str) -> None:
    with pytest.raises(shop.SettingError, match=name):
        shop.build("checkout", env)


async def test_the_product_list_is_what_catalog_says() -> None:
    reply = await catalog.catalog().handle(http11.Request("GET", "/products"))

    assert msgspec.json.decode(reply.body, type=gateway.ProductList).products == catalog.PRODUCTS
