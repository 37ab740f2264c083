"""``seed``: shipments and orders to try the gateway with."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from pymongo.database import Database

from conf.settings import Settings
from workers import mongo

SHIPMENTS = 1000
MERCHANTS = 25
COURIERS = ("bosta", "aramex", "easypost", "mylerz")


def seed(settings: Settings, arguments: Namespace) -> int:
    """SHP-1 … SHP-1000, each active and with an open order. Existing ones are left as they are."""
    database = mongo.connect(settings.mongo_url, 1)
    if arguments.if_empty and database["shipments"].find_one({}, {"_id": 1}) is not None:
        print("shipments is not empty: nothing was seeded")
        return 0
    made = plant(database, arguments.count)
    print(f"{made} shipments with open orders made, {arguments.count - made} were there already")
    return 0


def plant(database: Database[dict[str, Any]], count: int = SHIPMENTS) -> int:
    """Make what is missing of SHP-1 … SHP-<count> and their orders; returns how many."""
    numbers = range(1, count + 1)
    there = {d["_id"] for d in database["shipments"].find({}, {"_id": 1})}
    orders = {d["_id"] for d in database["orders"].find({}, {"_id": 1})}
    new_orders = [order(n) for n in numbers if f"ORD-{n}" not in orders]
    new = [shipment(n) for n in numbers if f"SHP-{n}" not in there]
    if new_orders:
        database["orders"].insert_many(new_orders)
    if new:
        database["shipments"].insert_many(new)
    return len(new)


def order(number: int) -> dict[str, Any]:
    return {
        "_id": f"ORD-{number}",
        "merchant_id": f"MER-{number % MERCHANTS + 1}",
        "status": "open",
    }


def shipment(number: int) -> dict[str, Any]:
    return {
        "_id": f"SHP-{number}",
        "order_id": f"ORD-{number}",
        "merchant_id": f"MER-{number % MERCHANTS + 1}",
        "courier": COURIERS[number % len(COURIERS)],
        "status": "label_created",
        "active": True,
        "last_event_at": None,
        "events_applied": 0,
        "recent_events": [],
        "route": None,
    }
