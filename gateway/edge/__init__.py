"""The HTTP edge as a WSGI application: verify an event, make it durable, acknowledge it."""
