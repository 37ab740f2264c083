"""``make chaos``: everything is killed, cut and frozen under load, and then the books are compared.

``plan`` is what happens when (a pure function of the seed), ``faults`` does it, ``couriers`` is the
load. What they leave behind (``told``, ``stores``, ``calls``) is judged by ``checker``. No file on
the judging side imports anything of the product's: it knows keys, collections and fields by their
literal names.
"""
