"""The shapes of billing's requests and answers, one file an endpoint family."""
