"""The ledger: double entry, append-only. `journal.py` is its only writer; `billing.selectors.ledger` reads it."""
