"""The runtime: private PostgreSQL and Redis-protocol servers, and the supervisor behind `make run`.

Importable without Django; nothing here reads settings.

postgres.py, valkey.py   one embedded server each: init, start, stop, url
services.py              the three together under one home folder, and the environment they give
supervisor.py            web, writer, publisher, worker and beat as children with readable logs
doctor.py                what could be wrong, as a table
bound.py                 how every child begins: it ends with its parent
"""
