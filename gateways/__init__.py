"""What stands in other people's gateways, and what holds it to the contract."""
