"""What every endpoint shares: authentication, problem details, pagination, idempotency keys."""
