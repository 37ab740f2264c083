"""``seed``: shipments and orders for trying out the gateway."""

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
    """Create SHP-1 … SHP-<count>, active and with open orders; existing ones stay unchanged."""
    database = mongo.connect(settings.mongo_url, 1)
    with database.client:
        if arguments.if_empty and database["shipments"].find_one({}, {"_id": 1}) is not None:
            print("shipments is not empty: nothing was seeded")
            return 0
        created = insert_missing(database, arguments.count)
    print(
        f"{created} shipments with open orders created, {arguments.count - created} existed already"
    )
    return 0


def insert_missing(database: Database[dict[str, Any]], count: int = SHIPMENTS) -> int:
    """Create the missing shipments of SHP-1 … SHP-<count> and their orders; returns how many."""
    numbers = range(1, count + 1)
    existing = {d["_id"] for d in database["shipments"].find({}, {"_id": 1})}
    existing_orders = {d["_id"] for d in database["orders"].find({}, {"_id": 1})}
    new_orders = [order(n) for n in numbers if f"ORD-{n}" not in existing_orders]
    new_shipments = [shipment(n) for n in numbers if f"SHP-{n}" not in existing]
    if new_orders:
        database["orders"].insert_many(new_orders)
    if new_shipments:
        database["shipments"].insert_many(new_shipments)
    return len(new_shipments)


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
