"""Celery workers: thin tasks over `indexer`."""
