"""The workers process each reserved event, exactly once in effect.

The order of the writes is the guarantee. A worker writes the ledger first, then Redis:

1. Read the shipment and its order.
2. Claim: write the fence of this reservation and the decision into the ledger, unless the ledger
   has a higher fence or the event is done. What another holder did before the read, this claim
   finds in the ledger; what it does after the read changes the counter, and step 3 fails.
3. Apply: set the status, raise the counter and add the id to ``recent_events``, only if the counter
   is as it was read and the id is not in the list. Otherwise start again at 1.
4. Record ``applied_at`` in the ledger. Then close the ledger and call ``done``, or ``forward``.
5. The routing lane claims again, calls the Routing Service (unless the event carries the answer or
   the shipment has it), puts the route on the shipment unless a later event's is there, closes the
   ledger and calls ``done``.

A kill between any two writes leaves a state from which the next holder reaches the same end: it
finds its id on the shipment, its decision in the ledger, or the answer with the event.
"""
