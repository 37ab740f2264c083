"""The HTTP edge as a WSGI application: it verifies an event, makes it durable, acknowledges it.

It knows neither the HTTP server that runs it (gateway/server) nor the operators' tools."""
