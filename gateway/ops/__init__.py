"""The operators' port: metrics and the queue's state over HTTP, apart from the couriers' port."""
