"""Alembic's environment: run the scripts on the connection that is handed over."""

from __future__ import annotations

from alembic import context

from marketgpt_signals.schema import metadata

# The transaction is the caller's: all revisions happen, or none.
context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
