"""The kinds of faults that the nemesis inflicts, as the reports name them."""

KILL_EDGE_WORKER = "kill gunicorn worker"
KILL_EDGE_MASTER = "kill gunicorn master"
KILL_LOOKUP = "kill lookup worker"
KILL_ROUTING = "kill routing worker"
KILL_SCHEDULER = "kill scheduler"
KILL_REDIS = "kill redis-server"
KILL_MONGOD = "kill mongod"
KILL_SUPERVISORD = "kill supervisord, make up"
FREEZE = "freeze worker beyond its lease"
RESET_REDIS = "reset every Redis connection"
RESET_MONGO = "reset every Mongo connection"
PARTITION_REDIS = "partition from Redis"
PARTITION_MONGO = "partition from Mongo"
FULL_REDIS = "Redis at maxmemory"

STORE_OUTAGES = (
    KILL_REDIS,
    KILL_MONGOD,
    RESET_REDIS,
    RESET_MONGO,
    PARTITION_REDIS,
    PARTITION_MONGO,
)
