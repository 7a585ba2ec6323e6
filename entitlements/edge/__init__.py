"""One gateway site: its Redis, the one script that decides there, and what keeps both in step."""
