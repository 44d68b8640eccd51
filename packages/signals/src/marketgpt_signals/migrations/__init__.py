"""From one revision of the ledger's tables to another, both ways, with what is in them.

``versions/`` holds alembic's scripts; :mod:`marketgpt_signals.migrations.migrate` runs them without any file
of settings. A script is never changed once released: it speaks of the tables as they were then, so it uses
nothing of :mod:`marketgpt_signals.schema`.
"""
