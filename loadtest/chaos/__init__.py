"""``make chaos``: faults of every kind under load, and then the accounts are compared.

``plan`` says what happens when (a pure function of the seed), ``nemesis`` inflicts it,
``generator`` is the load. The harness's checker judges the history and what ``stores`` and
``routing`` have read. No judging module imports the product: it knows keys, collections and fields
by literal names.
"""
