"""Everything that faces the outside: the HTTP edge that couriers post to, its server, and the
operators' side (command line, ops port, diagnosis, local stack). Each has a subpackage."""
